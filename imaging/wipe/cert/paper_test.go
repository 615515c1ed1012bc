package cert_test

import (
	"bytes"
	"strings"
	"testing"

	"ingot/imaging/wipe/cert"
)

// TestACertificateIsOnePage, and says sizes, times and the kind of drive in people's words beside the exact figures.
func TestACertificateIsOnePage(t *testing.T) {
	s := signer(t)
	r, file := certificate(t, s)
	pdf, err := cert.Paper(file, s.Public())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(pdf, []byte("/Type /Page\n")); n != 1 {
		t.Errorf("the paper has %d pages", n)
	}
	var all strings.Builder
	for _, section := range r.Sections(file, s.Public()) {
		for _, l := range section.Lines {
			all.WriteString(l.What + ": " + l.Text + "\n")
		}
	}
	for _, want := range []string{"Media: SATA, magnetic\n", " UTC to 20", "Issued: 2026-"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q is not said in\n%s", want, all.String())
		}
	}
	for _, raw := range []string{"sata-hdd", "01T0", "01T1", "0Z"} {
		if strings.Contains(all.String(), raw) {
			t.Errorf("%q is said in\n%s", raw, all.String())
		}
	}
}
