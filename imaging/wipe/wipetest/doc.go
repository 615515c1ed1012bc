// Package wipetest is drives that do not exist, for tests: NVMe and ATA controllers, an eMMC and a plain disk, which
// decode the same command bytes that a real drive gets and answer with the same bytes.
//
// The idea: a wipe is tested against what the drive really holds, not against what it says. A Medium knows its cells:
// the blocks that its interface shows, and the older copies that flash keeps behind them. So a test can ask what is
// left of the former user's data, readable and in the cells, and compare it with what a Report claims.
//
// Drives misbehave on request: they refuse, fail, stall, lie, keep old results, and lose answers. Faults (Faulty) are
// put between engine and drive, at the n-th call.
package wipetest
