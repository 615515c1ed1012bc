// Package smbios reads what a machine's firmware tells about the machine: maker, model, serial, UUID, asset
// tag, processors and memory.
//
// The idea: SMBIOS (DMTF DSP0134) is a list of structures. Each has a type, a formatted part whose length the
// structure itself states, and a set of strings that the formatted part points into by number. The kernel hands
// both the entry point and the list out under /sys/firmware/dmi/tables, also when Secure Boot locks /dev/mem.
//
// Every byte is a stranger's: firmware has been seen with short structures, string numbers that point past the
// set, tables without an end. Parse therefore bounds each length first, treats a field past the end of its
// structure as absent, and cleans strings of control characters. It fails only where nothing can be trusted.
//
// Why the junk lists stand here: many makers ship "To Be Filled By O.E.M." as a serial and the same UUID in a
// whole series. Whoever matches machines by such values gives one laptop another's record, so the lists are
// part of reading.
package smbios
