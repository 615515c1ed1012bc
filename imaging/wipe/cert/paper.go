package cert

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/go-pdf/fpdf"
	qrcode "github.com/skip2/go-qrcode"

	"ingot/imaging/paper"
)

// Line is one line of a record as people read it; an empty Text is left out.
type Line struct{ What, Text string }

// Section is one part of it.
type Section struct {
	Title string
	Lines []Line
}

// QR is the text of the code on a printed record: by it paper and file are held together.
func QR(r Record, file []byte, key ed25519.PublicKey) string {
	return fmt.Sprintf("ingot record %s\nfile %s\nkey %s", r.ID, Hash(file), Fingerprint(key))
}

// maxPaper bounds one text on paper, in characters: the signed file has all of it.
const maxPaper = 1200

// Paper draws a signed file for printing, after it has verified it. The same file gives the same bytes. It is a picture:
// the record is the file.
func Paper(file []byte, key ed25519.PublicKey) ([]byte, error) {
	r, err := Verify(file, key)
	if err != nil {
		return nil, err
	}
	code, err := qrcode.Encode(QR(r, file, key), qrcode.Medium, 300)
	if err != nil {
		return nil, fmt.Errorf("draw the code of %s: %w", r.ID, err)
	}
	pdf := paper.New(r.Title()+" "+r.ID, r.Issued)
	text := func(s string) string { return paper.Text(s, maxPaper) }
	pdf.SetMargins(18, 14, 18)
	pdf.SetAutoPageBreak(true, 12)
	pdf.SetFooterFunc(func() { // what was printed on two pages is found together again
		pdf.SetY(-10)
		pdf.SetFont(paper.Font, "", 8)
		pdf.CellFormat(0, 5, text(fmt.Sprintf("%s, page %d of {nb}", r.ID, pdf.PageNo())), "", 0, "R", false, 0, "")
	})
	pdf.AliasNbPages("{nb}")
	pdf.AddPage()
	pdf.SetFont(paper.Font, "B", 18)
	pdf.CellFormat(130, 10, text(r.Title()), "", 1, "L", false, 0, "")
	pdf.SetFont(paper.Font, "", 11)
	pdf.CellFormat(130, 7, text(strings.TrimSpace(r.ID+"  "+r.Organisation)), "", 1, "L", false, 0, "")
	pdf.RegisterImageOptionsReader("code", fpdf.ImageOptions{ImageType: "PNG"}, bytes.NewReader(code))
	pdf.ImageOptions("code", 160, 12, 30, 30, false, fpdf.ImageOptions{ImageType: "PNG"}, 0, "")
	pdf.SetY(44)
	for _, block := range r.Sections(file, key) {
		pdf.SetFont(paper.Font, "B", 11)
		pdf.CellFormat(0, 7, text(block.Title), "B", 1, "L", false, 0, "")
		for _, l := range block.Lines {
			if l.Text == "" {
				continue
			}
			pdf.SetFont(paper.Font, "", 9)
			pdf.CellFormat(44, 4.5, text(l.What), "", 0, "L", false, 0, "")
			pdf.MultiCell(0, 4.5, text(l.Text), "", "L", false)
		}
		pdf.Ln(1.5)
	}
	var out bytes.Buffer
	if err := pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("draw %s: %w", r.ID, err)
	}
	return out.Bytes(), nil
}

// Title is what the record is called on paper.
func (r Record) Title() string {
	if r.Kind == Wipe {
		return "Certificate of sanitisation"
	}
	return "Record of destruction"
}

// Sections are the parts of a record whose file was verified with key, on paper and on a page.
func (r Record) Sections(file []byte, key ed25519.PublicKey) []Section {
	d, v := r.Device, r.Drive
	out := []Section{
		{"Device", []Line{{"Manufacturer, model", strings.TrimSpace(d.Manufacturer + " " + d.Model)}, {"Serial", d.Serial}, {"Name", d.Name}, {"Asset number", d.Asset},
			{"UUID", d.UUID}, {"Came back from", d.Source}}},
		{"Drive", []Line{{"Model", v.Model}, {"Serial", v.Serial}, {"World-wide name", v.WWN}, {"Firmware", v.Firmware}, {"Media", mediaWord(v)},
			{"Behind", v.Behind}, {"Size", sizeWord(v)}, {"Hidden sectors", v.Hidden}}},
	}
	if r.Sanitised != nil {
		out = append(out, r.Sanitised.blocks()...)
	}
	if r.Destroyed != nil {
		out = append(out, r.Destroyed.block())
	}
	return append(out, Section{"Signature", []Line{{"Issued", timeWord(r.Issued.Format(time.RFC3339))}, {"Number in the chain", fmt.Sprint(r.Number)}, {"Record before", r.Previous},
		{"This file", Hash(file)}, {"Key", Fingerprint(key)}, {"Audit chain", fmt.Sprintf("%d %s", r.AuditNumber, r.AuditHead)},
		{"To verify", "This paper is a picture of the signed file. With the file and the public key: ingot cert verify FILE --key KEY"}}})
}

func (s Sanitised) blocks() []Section {
	return []Section{
		{"What was done", []Line{{"Technique", s.Does}, {"Started, finished", timeWord(s.Started) + " to " + timeWord(s.Finished)}, {"Bytes", bytesWord(s.ErasedBytes)},
			{"Tried or passed over", s.Fallback}, {"Verification", s.Verification}, {"Status", s.Status}, {"Read beside it", strings.Join(s.Warnings, " ")}}},
		{"What is claimed", []Line{{"Claim", s.Claim}, {"Policy of this site", fmt.Sprintf("%s, version %d, which wants %s of such a drive", s.Policy, s.PolicyVersion, s.Wanted)}}},
		{"Who, and by what", []Line{{"People", names(s.People)}, {"Place", s.Place}, {"Tool", s.Tool}, {"Agent", s.AgentBuild}, {"Key of that start", s.AgentKey},
			{"Started over", s.BootChain}, {"Assurance", s.Assurance}, {"Job", s.Job}}},
	}
}

func (d Destroyed) block() Section {
	return Section{"How it came to its end", []Line{{"Method", d.Method}, {"Why it was not wiped", d.Why}, {"Place", d.Place}, {"Time", timeWord(d.Time.Format(time.RFC3339))},
		{"People", names(d.People)}, {"Vendor's reference", d.Reference}, {"SHA-256 of the photo", d.PhotoSHA256}}}
}
