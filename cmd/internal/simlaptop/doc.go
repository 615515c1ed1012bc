// Package simlaptop simulates laptops, as many at once as a test wants, for a real daemon.
//
// The idea: a laptop is the agent of package imaging/agent, which runs here as it runs on real hardware, over TLS with
// a key of its own, with a plain file as its drive. So everything that the daemon sees is what a real laptop says: it
// asks for a boot token, says Hello, shows a code, claims its job, reports its states and twice a second its progress,
// fetches the chunks, writes and reads them back past the page cache, gives the system in the file its name, commits
// the partition table, and sends a Result whose proof is true of that file. FirstBoot is the written system's first
// start: it reads its name and its letter from the drive and calls home. A capture is as real: what lies in the file is
// read by its file systems' own maps, split, and sent as far as the library lacks it.
//
// What is simulated, and nothing else:
//
//   - There is no kernel and no firmware. A laptop starts as from a stick that holds its second stage, so the daemon
//     needs no boot bundle; what SMBIOS would tell stands in Laptop.Hello.
//   - Partitions are not mounted: the root file system is changed with debugfs, by the plan that the real agent makes.
//     The program that it leaves behind is a few bytes, so that a small image has room for it.
//   - A second of the countdown is as long as Laptop.Second.
//   - Nobody is at the laptop: it has no keyboard.
package simlaptop
