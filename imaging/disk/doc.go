// Package disk puts an image on a laptop's drive and proves that it is there.
//
// The idea: nothing is believed because no error was seen. The drive is chosen by serial and size, never by
// its place; it is opened exclusively and past the page cache; and whatever was written counts only when it
// has come back from the drive, after a flush, with the digest that the manifest names.
//
//	List, Choose, Open   which drive, and is it really that one
//	NewPlan              where everything goes (pure): the head held back, the new partition table
//	Disk.Invalidate      from here on the disk does not boot
//	Restore              compare, fetch, decode, write, flush, read back: a window of extents at a time
//	Disk.AddParts        partitions that only the kernel knows, for personalising
//	Commit               backup table, head, primary table: from here on it boots again
//
// Restore keeps no memory of an earlier run. It reads what the disk holds and asks for the rest, so starting
// for the first time, going on after a power cut, and re-imaging are one code path. A window whose samples all
// differ is fetched whole, so a fresh disk costs no full read first; what is kept was read and digested in
// this boot, and so counts as read back.
//
// A chunk that the disk holds in several places travels once; the other places are copies of the first, read from
// the drive and proven by its digest before they are written (repeat.go).
//
// The first MiB (or what lies before the first partition, if that is less) is fetched first and held in
// memory until Commit: a disk before commit has no partition table at either end.
package disk
