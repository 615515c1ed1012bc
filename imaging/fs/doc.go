// Package fs reads file systems out of a disk that nobody has mounted.
//
// Capture asks three things of a volume, and this package answers them in pure Go over an io.ReaderAt:
//
//	Identify  what is it? (type, label, UUID; also what must not be imaged, like an encrypted volume)
//	Used      which bytes does it use? Free space that the file system's own map proves is never read
//	Open      what does a file in it say? (os-release, fstab, the loader on the EFI partition, registry hives)
//
// Used is careful in one direction only. Calling a free block used costs a few bytes; calling a used block free
// loses data. So a map is given only for a file system that was closed cleanly, whose features all stand on a
// list of known ones, and whose checksums and counters agree with each other. Anything else is Unmapped, with
// the reason in words, and is copied whole; or Refused, where even that gives no sound image.
//
// For ext4 the map is one bitmap per block group, with a bit for each block, or with bigalloc for each cluster of
// blocks. The groups' descriptors lie behind the superblock, or with meta_bg among the groups themselves. A group that
// was never used has no bitmap yet (BLOCK_UNINIT): all of it is free except metadata that happens to lie there, which
// is computed. The first block of the volume is always used: boot loaders live there. For FAT the map is the
// allocation table itself. For NTFS it is the file $Bitmap, one bit for each cluster, after two questions. Does Windows
// still hold parts of the volume (dirty mark, log, hiberfil.sys)? Then it is Refused: a copy would be a mixture. Does a
// file own a cluster that the bitmap calls free? Refused too, so the whole $MFT is read. What lies behind the last
// cluster, where the second boot sector is, counts as used, since no bit stands for it.
//
// All of it may be hostile: sizes are held against the volume before they are used, chains and links are
// bounded.
package fs
