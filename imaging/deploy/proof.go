package deploy

import (
	"slices"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// heldBytes is the most of an image that the agent holds in memory until commit: read back there, so not counted as
// content.
const heldBytes = 1 << 20

// checkProof says what the evidence of a finished deploy lacks, or "" when it is whole. Done means that the
// evidence is there, not that no error was seen.
func checkProof(j store.Job, p job.Proof, fileDisks bool) string {
	switch j.Kind {
	case job.Rename:
		return checkRenamed(j, p)
	case job.Capture: // it is done by the transaction that makes the Version, never by a word of the agent
		return "The library has not received it whole."
	}
	c := p.Content
	switch {
	case j.State != job.Committed:
		return "The agent never reported that it had committed."
	case c == nil:
		return "No proof of the content."
	case c.Manifest != j.Image.Manifest:
		return "The proof is of another image."
	case c.DataExtents != j.DataExtents, c.ZeroExtents != j.ZeroExtents:
		return "The proof does not cover every extent."
	case c.ReadBytes+heldBytes < j.ProvenBytes:
		return "The content was not read whole."
	case !c.Direct && !fileDisks:
		return "The content was not read from the drive itself."
	case p.Commit == nil || p.Commit.Head.IsZero():
		return "No proof of the partition table."
	case j.Table == "gpt" && p.Commit.BackupGPT.IsZero():
		return "No proof of the second partition table."
	case j.Personalise && !named(p.Personalised, j.DeviceName):
		return "No proof of the name."
	}
	return ""
}

// checkRenamed is checkProof of a rename: the name was read back, and the tables are what they were.
func checkRenamed(j store.Job, p job.Proof) string {
	switch {
	case j.State != job.Committed:
		return "The agent never reported that it had committed."
	case !named(p.Personalised, j.DeviceName):
		return "No proof of the name."
	case p.Commit == nil || p.Commit.Head.IsZero():
		return "No proof that the partition table is what it was."
	}
	return ""
}

// named reports whether the host name that was read back is the Name.
func named(p *job.PersonalisedProof, name string) bool {
	return p != nil && slices.Contains(p.Files, job.WrittenFile{Path: "/etc/hostname", Digest: imaging.Sum([]byte(name + "\n"))})
}
