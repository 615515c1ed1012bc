// Package preflight decides whether a laptop may receive an image, before anything is written.
//
// The idea: each refusal is one pure function from facts to a Fault, and the same function is asked twice. The
// daemon asks at the order, from what the laptop told when it was last seen, so that nobody walks to a laptop in
// vain. The laptop asks again with the order in its hands, from what it is now: it may have started in another
// firmware mode since, have gained a drive, or have lost its charger.
//
//	Starts   firmware mode and architecture
//	Memory   enough for the agent's work, and for the image
//	Healthy  what the drive says of itself
//	Choose   the one target drive; Still: the choice still holds
//	Trusts   the Secure Boot keys and the image's boot loader
//	Powered  mains, or enough battery; the one rule that waits instead of refusing
//
// What is not known refuses nothing, and is not taken as good either: the functions give a note then, which stands on
// the laptop's screen and in the job's record.
package preflight
