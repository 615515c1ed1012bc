// Package diskfile reads disk images as files: raw, qcow2, VHDX and VMDK.
//
// Whoever makes a golden image has a file from a virtual machine or from dd. Either way it is the same thing:
// Size bytes that ReadAt gives, most of which nobody ever wrote. NextData walks over what was written without
// reading the rest, so an empty 250 GB costs a few system calls:
//
//	raw    what the file system keeps as a hole (SEEK_DATA, SEEK_HOLE) reads as zeros
//	qcow2  clusters that no table maps, or that are marked zero, read as zeros
//	VHDX   blocks of 1 to 256 MiB that the table calls absent, zero or unmapped, read as zeros
//	VMDK   grains (64 KiB as a rule) that no table maps, or that are marked zero, read as zeros
//
// A qcow2 file is a tree of two levels: the L1 table points to L2 tables, an L2 entry to a cluster of data,
// plain or compressed (the format's description is docs/interop/qcow2.txt of QEMU). Its header makes claims
// about sizes and places; every one is held against the real size of the file before it is used. What the
// reader does not know for certain it refuses with a Refusal, whose words are meant for the person who chose
// the file: a backing file, encryption, an external data file, extended L2 entries, a file that its last
// writer did not close.
//
// VHDX (Microsoft, MS-VHDX) has one table of blocks; headers and the list of regions lie there twice, each with
// a checksum. A log that must be replayed and a differencing disk are refused. VMDK (VMware, Virtual Disk Format
// 5.0) has a directory of grain tables; in a stream the grains are compressed, each with its place and a checksum.
// A VMDK may also be a text that names the file with the content. That name is followed only to a plain file in
// the text's own folder. Disks in several files and snapshots are refused. No table is ever held whole: it is
// read through windows of 4 MiB together, however large the file says it is.
package diskfile
