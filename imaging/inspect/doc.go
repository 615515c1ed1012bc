// Package inspect looks into a disk image: was the reference machine generalised, and what is installed on it?
//
// It runs in the daemon over the manifest, after an import or a capture alike, and reads a handful of files:
//
//	volumes   the partitions that the manifest lists, opened by imaging/fs; fstab says which lies where
//	system    os-release, or the hives SOFTWARE and SYSTEM: name, edition, version, build
//	checks    one function or one row of a table for each thing that must not go onto a second laptop
//	software  dpkg's status, rpm's database, the Uninstall keys of Windows and its Store packages
//
// A check has a stable name and gives one Finding. Red is what harms two laptops that hold the same: a key, a
// membership, an identity of an agent. Yellow is to be read by a person. What Ingot itself makes new at every deploy
// (the machine-id and the SSH host keys of a Linux that it can name) is yellow, not red.
//
// Looking never fails an import. What cannot be read is a yellow Finding that names it, so that a checklist without a
// red line is not mistaken for one that was looked at in full.
//
// # The date of the patch level
//
// Patched is the newest day on which the system's own package manager changed something that is installed: for dpkg the
// newest list of a package's files (dpkg writes it at every unpacking), for rpm the newest INSTALLTIME, for Windows the
// install time of the newest cumulative update. A date in the future counts as unknown. It is the day on which the
// machine was updated, not the day on which the maker published the update: that day stands in no record of the
// system.
//
// # Limits
//
// All of it may be hostile. Every reader is bounded by constants and never by what the image claims: files read whole,
// lines, folders listed, values of a hive, packages kept, length of each text. What is left out is counted.
package inspect
