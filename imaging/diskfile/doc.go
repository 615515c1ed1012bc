// Package diskfile reads disk images as files: raw and qcow2.
//
// Whoever makes a golden image has a file from a virtual machine or from dd. Either way it is the same thing:
// Size bytes that ReadAt gives, most of which nobody ever wrote. NextData walks over what was written without
// reading the rest, so an empty 250 GB costs a few system calls:
//
//	raw    what the file system keeps as a hole (SEEK_DATA, SEEK_HOLE) reads as zeros
//	qcow2  clusters that no table maps, or that are marked zero, read as zeros
//
// A qcow2 file is a tree of two levels: the L1 table points to L2 tables, an L2 entry to a cluster of data,
// plain or compressed (the format's description is docs/interop/qcow2.txt of QEMU). Its header makes claims
// about sizes and places; every one is held against the real size of the file before it is used. What the
// reader does not know for certain it refuses with a Refusal, whose words are meant for the person who chose
// the file: a backing file, encryption, an external data file, extended L2 entries, a file that its last
// writer did not close.
package diskfile
