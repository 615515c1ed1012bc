// Package report answers what auditors, licence managers and asset registers ask of the record.
//
// The idea: a report is a pure function of a Snapshot, which is everything it needs, read in one transaction. So the
// numbers of one report belong together, and a report can be held against an independent recount.
//
//	received   what one device got, when, from whom, proven how
//	holders    which devices hold a version (or any of an image), retired ones too
//	stale      devices on a version that is withdrawn, retired, deleted, a draft, or older than its cadence allows
//	licences   software of the images x devices that hold them, against entitlements
//	failures   jobs that failed or ended unproven, by model and cause
//	days       what was done on each day
//
// What a device holds is said once, in holding.go, and every report rests on it: the last Version that was proven on
// it, unless something was written over it since, or it was wiped, disposed of or made ready for another owner. A
// laptop that is lost, or came back and was not wiped yet, still holds what it got: its software is out there.
//
// A licence is counted once a device, whatever number of its packages belong to the product. What no rule speaks of is
// listed first; so is what could not be counted, since nobody has looked into a version.
//
// A Report carries its typed rows, which are its JSON, and a Table of them, which is its CSV and its page.
//
// A receipt is the signed word about one Deployment. It names two events of the audit chain: the one by which the
// Deployment was recorded, and the newest when it was issued. The chain proves by itself that nothing in its middle was
// changed; a receipt that is kept elsewhere proves that its end was not cut off, and that it was not built again.
//
// A label is laid out once, in millimetres, and drawn twice: as SVG for a sheet from the browser, as ZPL for a printer.
//
// Limits. A report reads the record whole: some seconds for tens of thousands of deployments. Software that was added to
// a laptop after it was imaged is not known here.
package report
