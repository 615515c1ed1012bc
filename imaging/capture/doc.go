// Package capture turns a disk into an image: chunks and a manifest.
//
// The disk is read once, front to back, and only where it says something:
//
//	table     GPT or MBR: where are the partitions?             (imaging/gpt)
//	maps      which bytes does each file system use?            (imaging/fs)
//	holes     which of those did nobody ever write?             (the Source's NextData)
//	split     blocks become runs: data, zero, free              (imaging.Splitter)
//	put       each data run becomes a chunk, several at a time
//	manifest  the runs in disk order, with what is known about the disk
//
// A block is free only when a file system's own map proves it, or when it holds the image's own second GPT,
// which every deploy computes anew. Space outside partitions is copied: boot loaders live there. Holes of the
// file are zeros, not free. What is free or a hole is never read, so an unused 250 GB costs nothing.
//
// The same disk gives the same manifest, byte for byte: nothing of the run itself, such as the time, goes in.
//
// A disk that would make a bad image is refused before anything is stored, with a Fault that says why: cut off,
// damaged table, encrypted, asleep, an NTFS that Windows did not close. A file system that is merely not
// understood is copied whole, and a Note says so.
package capture
