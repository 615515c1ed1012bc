package report

import (
	"fmt"
	"strings"
	"time"

	"ingot/imaging/bundle"
)

// Section is a part of a receipt as people read it, on the page and on paper.
type Section struct {
	Title string
	Lines []Line
}

// Line is one thing that a receipt says.
type Line struct{ Label, Text string }

// Sections is the receipt in words. It says nothing that is not signed, but for the key that signed it.
func (r Receipt) Sections(signed SignedReceipt, zone *time.Location) []Section {
	dep := r.Deployment
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05 MST") }
	device := Section{Title: "Device"}
	device.add("Name", r.Device.Name)
	device.add("Serial", r.Device.Serial)
	device.add("Asset tag", r.Device.Asset)
	device.add("Model", strings.TrimSpace(r.Device.Manufacturer+" "+r.Device.Model))
	device.add("Owner", r.Device.Owner)
	device.add("State", string(r.Device.State))
	received := Section{Title: "Received"}
	received.add("Version", strings.TrimSpace(dep.Image.String()+" "+bracket(r.Version.Label)))
	received.add("System", r.Version.OS)
	received.add("Content", dep.Image.Manifest.String())
	received.add("Onto drive", fmt.Sprintf("%s, %d bytes", dep.Target.Serial, dep.Target.SizeBytes))
	received.add("As", dep.Name)
	received.add("Ordered by", dep.Operator+", "+at(dep.Approved))
	received.add("Finished", at(dep.Finished))
	if dep.Trial {
		received.add("Remark", "on trial: the version was a draft")
	}
	received.add("Remark", dep.Stale)
	for _, n := range dep.Renamings {
		text := fmt.Sprintf("%s became %s by %s, %s", n.From, n.Name, n.Operator, at(n.Finished))
		if n.Unproven {
			text += ", not proven"
		}
		received.add("Renamed", text)
	}
	record := Section{Title: "Record"}
	record.add("Deployment", dep.ID)
	if r.Recorded.Number > 0 {
		record.add("Recorded as", fmt.Sprintf("event %d, %s", r.Recorded.Number, r.Recorded.Hash))
	}
	record.add("Audit trail", fmt.Sprintf("event %d was the newest, %s", r.Chain.Number, r.Chain.Hash))
	record.add("Issued", at(r.Issued)+" to "+r.IssuedTo)
	record.add("Signed by", bundle.Fingerprint(signed.Key))
	return []Section{device, received, r.proof(at), record}
}

// proof is the evidence, part by part; a part that is missing is said, too.
func (r Receipt) proof(at func(time.Time) string) Section {
	p, s := r.Deployment.Proof, Section{Title: "Proven how"}
	if c := p.Content; c != nil {
		how := "from the drive itself"
		if !c.Direct {
			how = "not from the drive itself"
		}
		s.add("Content", fmt.Sprintf("%d bytes read back %s and equal: %d pieces of data, %d of zeros", c.ReadBytes, how, c.DataExtents, c.ZeroExtents))
	} else {
		s.add("Content", "no proof")
	}
	switch {
	case p.Personalised != nil:
		s.add("Name", fmt.Sprintf("files written into the system and read back: %d", len(p.Personalised.Files)))
	case !r.Deployment.NameWritten:
		s.add("Name", "reserved, not written")
	default:
		s.add("Name", "no proof")
	}
	if c := p.Commit; c != nil {
		s.add("Partition tables", "read again after the last write; head "+c.Head.Short())
		s.add("Boot entry", c.BootEntry)
	} else {
		s.add("Partition tables", "no proof")
	}
	if o := r.Deployment.Seen(); o != nil {
		s.add("The system", fmt.Sprintf("called home as %s, %s", o.Hostname, at(o.Time)))
	} else {
		s.add("The system", "has not called home yet")
	}
	return s
}

func (s *Section) add(label, text string) {
	if text != "" {
		s.Lines = append(s.Lines, Line{label, text})
	}
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}
