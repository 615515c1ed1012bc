// Package gpt reads, checks, changes and encodes partition tables.
//
// A GPT disk (UEFI specification 2.10, chapter 5) describes itself twice. The first copy follows a protective
// MBR at the start; the second ends in the last sector:
//
//	LBA 0            protective MBR: boot code, and one entry of type 0xEE that covers the disk
//	LBA 1            header: who am I (LBA), where is my twin, which LBAs may partitions use, two CRC-32s
//	LBA 2 ...        the entries, 128 bytes each, usually 128 of them
//	FirstUsable ...  partitions
//	LastUsable
//	... last - 1     the entries again
//	last LBA         the header again
//
// The end of a larger disk lies elsewhere, so putting an image on another disk means to compute both copies
// anew: Relocate, then GrowPartition or MovePartition, then PatchHead and Backup. Every change checks the whole
// table, so a Table that encodes is a Table that reads back.
//
// The package never writes. It takes bytes and gives bytes, at sectors of 512 or 4096 bytes, and believes
// nothing that it reads: counts and places are bounded before they are used.
//
// Disks without GPT have an MBR with four entries and a chain of extended ones; ReadMBR reads it, and nothing
// here changes it.
package gpt
