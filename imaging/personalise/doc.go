// Package personalise gives a freshly written Linux its own name, over the mounted root folder of the image.
//
// The idea: a golden image is one machine, copied. What made that machine an individual must go (its machine-id,
// SSH host keys, random seed), what makes this one must come (its Name, in every place that would otherwise
// bring another one back), and one small unit reports at the first boot under which name the system runs.
//
// The image is a stranger: a folder in it may be a link to /etc of the agent itself. Every access therefore goes
// through an os.Root, which follows no link out of the image; what stands where a file should be is replaced,
// never written through.
//
// It works in three steps, so that each can be looked at alone:
//
//	changes, err := Plan(root, settings)   // what must change, from what the image holds; writes nothing
//	err = Apply(root, changes)             // each file as temp, fsync, rename, fsync of the folder
//	... unmount, mount read-only ...
//	proof, err := ReadBack(root, changes)  // every file equal to what was meant, removed ones absent
//
// PlanRename is Plan for a system that runs already: only what holds its Name changes.
//
// Beside it stand two things that a larger disk needs: GrowExt4 lets the kernel grow a mounted ext4, and MakeSwap
// writes the header of a swap area anew.
package personalise
