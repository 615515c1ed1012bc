// Package benchmark measures Ingot beside the programs that helpdesks use today, on the same work, in the same
// run, on the same machine.
//
// The idea: a wall time alone says nothing, since machines and days differ. So every figure is a ratio to
// something that was measured minutes before or after it: the wire's own time for the bytes, or a peer's time.
//
//	office.go   the disk: a Debian desktop, 12 GB, made once from the host's own mirror
//	dedup.go    what the next version of the disk adds to the store, and the time of a capture
//	fixed.go    the same with chunks of a fixed size
//	inputs.go   what each contestant sends: Ingot's store, partclone and whole-disk zstd files
//	rig.go      server and laptop in network namespaces, the link held to 1 Gbit/s or not at all
//	laptop.go   the real agent over a plain file, as a process of its own
//	console.go  what the laptop says, and when
//	peers.go    curl | zstd -dc | partclone, curl | zstd -dc | dd
//	fleet.go    many laptops at once at one daemon: streams, adoptions
//	boards.go   what people see meanwhile: pages, boards, and what that costs the daemon
//	huge.go     a manifest of 8 million extents, a store of 10 million chunks
//	memory.go   peak anonymous memory of a process, sampled
//	table.go    what is printed: figure, goal, verdict
//
// Nothing here is a test: a figure that misses its goal is printed as missed, and the exit code says so.
package benchmark
