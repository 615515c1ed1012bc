package deploy

import (
	"ingot/imaging/job"
	"ingot/store"
)

// checkProof says what the evidence of a finished deploy lacks, or "" when it is whole. Done means that the
// evidence is there, not that no error was seen.
func checkProof(j store.Job, p job.Proof, fileDisks bool) string {
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
	case !c.Direct && !fileDisks:
		return "The content was not read from the drive itself."
	case p.Commit == nil || p.Commit.Head.IsZero():
		return "No proof of the partition table."
	case j.Personalise && (p.Personalised == nil || len(p.Personalised.Files) == 0):
		return "No proof of the name."
	}
	return ""
}
