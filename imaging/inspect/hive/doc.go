// Package hive reads registry hives of Windows (the format "regf") in pure Go over an io.ReaderAt. It never writes.
//
// A hive is a file of 4 KiB base block and of cells behind it. A key is a cell "nk" that names a list of its subkeys and
// a list of its values; a value is a cell "vk" with its data in a cell, in itself (up to 4 bytes) or in a list of
// pieces ("db", from version 1.4 on):
//
//	"regf"  sequence numbers at 4 and 8, root cell at 36, bytes of bins at 40, checksum at 508
//	cell    its size, negative while it is in use, and its content; cells are named by their distance from byte 4096
//	"nk"    time of change at 4, subkeys at 20 (their list at 28), values at 36 (their list at 40), name at 76
//	"lf" "lh" "li"  a list of subkeys; "ri" a list of such lists
//	"vk"    length of the name at 2, of the data at 4, data at 8, type at 12, name at 20
//
// What Windows changed last may lie in log files beside the hive, which are not replayed. The two sequence numbers then
// differ, and Dirty says so: what is read is true of the day when the hive itself was last written.
//
// A hive may be hostile. Every number is held against the file and against a constant before it is used; lists have
// limits, and nothing is followed twice, so that no loop and no claimed size costs more than a bounded read.
package hive
