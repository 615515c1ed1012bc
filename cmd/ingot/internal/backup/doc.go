// Package backup writes a whole server into one file and puts it back: records, keys, configuration, the list of what
// each version consists of and, when wished, the images' data.
//
// The idea: whoever has the file and its passphrase has the server, and whoever has only the file has nothing. The file
// is one that the program age opens (age-encryption.org/v1 with a passphrase), and in it lies a tar archive:
//
//	ingot-backup.json     Head: what this is, and who made it when
//	ingot.db              the records as one transaction saw them
//	keys/NAME             each key of the data folder
//	ingot.toml            the configuration file, when there was one
//	manifests/DIGEST.manifest
//	packs/DIGEST.pack     with the images' data
//	end.json              End: how many files and bytes stood before it
//
// A part of the file that was cut off, changed or put elsewhere is found by age, piece by piece (64 KiB) before any of
// it is used; a backup that was not finished has no end. Both are errors. So "age -d FILE | tar x" is the way back
// without Ingot.
//
// # Consistent while everything goes on
//
//	keep the image store from being cleared (chunkstore.Store.Hold)
//	copy the database in one transaction, to a file beside it, so that no slow reader keeps the transaction open
//	then list manifests, and then packs
//
// A content is recorded when its manifest is whole, and a manifest is taken when its chunks are held: so what the copied
// records name is among the files listed after them. What was stored since then comes along and is nobody's; the next
// "ingot gc" of the restored server clears it.
//
// # Nothing half restored
//
// Restore unpacks into a new folder inside the data folder, proves all of it there, and only then gives each thing its
// place, the database last. A data folder that holds anything but a boot bundle is refused before the first byte.
package backup
