package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/go-pdf/fpdf"

	page "ingot/imaging/paper"
)

// Measures of a page in millimetres.
const (
	pdfMargin = 20.0
	pdfWidth  = 210 - 2*pdfMargin
	pdfLabel  = 36.0 // width of a line's label
	pdfQR     = 32.0
	pdfLine   = 5.2
)

// PDF is a receipt on paper. It is a picture: the proof is the signed file, and the QR code leads to the page that
// checks it, at link. The same receipt gives the same bytes.
func (r Receipt) PDF(signed SignedReceipt, link string, zone *time.Location) ([]byte, error) {
	f := page.New("Receipt of "+r.Device.Serial, r.Issued)
	f.SetMargins(pdfMargin, pdfMargin, pdfMargin)
	f.SetAutoPageBreak(true, pdfMargin)
	f.AddPage()
	if err := pdfHead(f, r, link); err != nil {
		return nil, err
	}
	for _, s := range r.Sections(signed, zone) {
		pdfSection(f, s)
	}
	f.Ln(3)
	f.SetFont(page.Font, "", 8)
	f.SetTextColor(90, 90, 90)
	f.MultiCell(0, 4, paper("This page is a picture of the signed receipt. \"ingot receipt verify FILE\" with the signed file checks it; the code leads to what the record says now."), "", "L", false)
	var b bytes.Buffer
	if err := f.Output(&b); err != nil {
		return nil, fmt.Errorf("make receipt as PDF: %w", err)
	}
	return b.Bytes(), nil
}

func pdfHead(f *fpdf.Fpdf, r Receipt, link string) error {
	if err := pdfCode(f, link, pdfMargin+pdfWidth-pdfQR, pdfMargin); err != nil {
		return err
	}
	f.SetFont(page.Font, "B", 20)
	f.CellFormat(pdfWidth-pdfQR, 10, "Receipt", "", 1, "L", false, 0, "")
	f.SetFont(page.Font, "B", 13)
	f.MultiCell(pdfWidth-pdfQR-4, 7, paper(strings.TrimSpace(r.Device.Name+"  "+r.Device.Serial)), "", "L", false)
	f.SetFont(page.Font, "", 11)
	f.MultiCell(pdfWidth-pdfQR-4, 6, paper("received "+r.Deployment.Image.String()), "", "L", false)
	f.SetY(max(f.GetY(), pdfMargin+pdfQR) + 4)
	return nil
}

// pdfCode draws a QR code as small squares, so that it is sharp on any printer.
func pdfCode(f *fpdf.Fpdf, text string, x, y float64) error {
	if text == "" {
		return nil
	}
	code, err := Code(text, true)
	if err != nil {
		return err
	}
	side := pdfQR / float64(len(code))
	f.SetFillColor(0, 0, 0)
	for row := range code {
		for from := 0; from < len(code); from++ {
			to := from
			for to < len(code) && code[row][to] {
				to++
			}
			if to > from {
				f.Rect(x+float64(from)*side, y+float64(row)*side, float64(to-from)*side, side, "F")
				from = to
			}
		}
	}
	return nil
}

func pdfSection(f *fpdf.Fpdf, s Section) {
	f.SetTextColor(0, 0, 0)
	f.SetFont(page.Font, "B", 11)
	f.CellFormat(0, 8, s.Title, "B", 1, "L", false, 0, "")
	f.Ln(1)
	for _, l := range s.Lines {
		f.SetFont(page.Font, "", 9)
		f.SetTextColor(90, 90, 90)
		f.CellFormat(pdfLabel, pdfLine, l.Label, "", 0, "L", false, 0, "")
		f.SetTextColor(0, 0, 0)
		f.MultiCell(pdfWidth-pdfLabel, pdfLine, paper(l.Text), "", "L", false)
	}
	f.Ln(2)
}

// maxPaper bounds one text on paper, in characters: the signed file has all of it.
const maxPaper = 400

func paper(s string) string { return page.Text(s, maxPaper) }
