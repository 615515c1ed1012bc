package cert

import (
	"archive/zip"
	"crypto/ed25519"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Columns are the names of the CSV's columns, which stay. One row is one drive.
var Columns = []string{"record", "kind", "issued", "organisation", "device_id", "device_name", "device_serial", "device_manufacturer", "device_model",
	"asset", "source", "drive_serial", "drive_model", "drive_wwn", "drive_firmware", "media", "size_bytes", "hidden_sectors", "technique", "claim", "wanted",
	"policy", "status", "warnings", "verification", "started", "finished", "method", "place", "people", "reference", "photo_sha256", "sha256"}

// Row is a record as a row of the CSV. hash is of its file.
func (r Record) Row(hash string) []string {
	row := map[string]string{
		"record": r.ID, "kind": string(r.Kind), "issued": r.Issued.Format(time.RFC3339), "organisation": r.Organisation, "device_id": r.Device.ID,
		"device_name": r.Device.Name, "device_serial": r.Device.Serial, "device_manufacturer": r.Device.Manufacturer, "device_model": r.Device.Model,
		"asset": r.Device.Asset, "source": r.Device.Source, "drive_serial": r.Drive.Serial, "drive_model": r.Drive.Model, "drive_wwn": r.Drive.WWN,
		"drive_firmware": r.Drive.Firmware, "media": r.Drive.Media, "size_bytes": strconv.FormatUint(r.Drive.SizeBytes, 10), "hidden_sectors": r.Drive.Hidden,
		"sha256": strings.TrimPrefix(hash, "sha256:"),
	}
	if s := r.Sanitised; s != nil {
		row["technique"], row["claim"], row["wanted"], row["policy"] = s.Technique, s.Claim, s.Wanted, fmt.Sprintf("%s %d", s.Policy, s.PolicyVersion)
		row["status"], row["warnings"], row["verification"], row["started"], row["finished"] = s.Status, strings.Join(s.Warnings, " "), s.Verification, s.Started, s.Finished
		row["method"], row["place"], row["people"] = s.Does, s.Place, names(s.People)
	}
	if d := r.Destroyed; d != nil {
		row["status"], row["method"], row["place"], row["people"] = "destroyed", d.Method, d.Place, names(d.People)
		row["reference"], row["photo_sha256"], row["finished"] = d.Reference, d.PhotoSHA256, d.Time.Format(time.RFC3339)
	}
	out := make([]string, len(Columns))
	for i, c := range Columns {
		out[i] = neutral(row[c])
	}
	return out
}

// neutral keeps a spreadsheet from taking a text for a formula, or being steered by it: drives and people choose what
// stands in it. It holds what store/sheet holds, which is above this package.
func neutral(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	first := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == unicode.ReplacementChar || r == '\ufeff' })
	if strings.IndexAny(first, "=+-@|%\uff1d\uff0b\uff0d\uff20") == 0 {
		return "'" + s
	}
	return s
}

func names(people []Person) string {
	var out []string
	for _, p := range people {
		out = append(out, fmt.Sprintf("%s (%s)", p.Name, p.Role))
	}
	return strings.Join(out, "; ")
}

// Entry is a record with its file, for a list that is handed out.
type Entry struct {
	Record Record
	File   []byte
}

// WriteCSV writes a list for a disposition vendor.
func WriteCSV(w io.Writer, list []Entry) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true // RFC 4180
	if err := c.Write(Columns); err != nil {
		return err
	}
	for _, e := range list {
		if err := c.Write(e.Record.Row(Hash(e.File))); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// WriteJSON writes the signed files themselves as one list: each of them verifies on its own when it is taken out.
func WriteJSON(w io.Writer, list []Entry) error {
	for i, e := range list {
		sep := "[\n"
		if i > 0 {
			sep = ",\n"
		}
		if _, err := io.WriteString(w, sep+string(e.File)); err != nil {
			return err
		}
	}
	end := "\n]\n"
	if len(list) == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// bundleText stands in every bundle: whoever gets it needs nothing else.
const bundleText = `These are signed records of what became of drives, one JSON file each, with a PDF for printing beside it.
The JSON file is the record; the PDF is a picture of it.

key.txt holds the public key. Compare its fingerprint with one that you got on another way.
To verify:  ingot cert verify *.json --key $(cat key.txt)

Without Ingot: the signature (Ed25519) is over the text "ingot signed wipe-certificate", one zero byte, and the
canonical JSON (RFC 8785) of the member "record". The whole file is canonical JSON too.
`

// WriteBundle writes a ZIP of records with their PDFs, the list as CSV, and the key. The same list gives the same bytes.
func WriteBundle(w io.Writer, list []Entry, key ed25519.PublicKey) error {
	z := zip.NewWriter(w)
	add := func(name string, when time.Time, write func(io.Writer) error) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: when.UTC()})
		if err != nil {
			return err
		}
		return write(f)
	}
	var newest time.Time
	for _, e := range list {
		paper, err := Paper(e.File, key) // verifies it
		if err != nil {
			return err
		}
		if newest = e.Record.Issued; err == nil {
			err = add(e.Record.ID+".json", e.Record.Issued, func(w io.Writer) error { _, err := w.Write(e.File); return err })
		}
		if err == nil {
			err = add(e.Record.ID+".pdf", e.Record.Issued, func(w io.Writer) error { _, err := w.Write(paper); return err })
		}
		if err != nil {
			return err
		}
	}
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	return errors.Join(add("certificates.csv", newest, func(w io.Writer) error { return WriteCSV(w, list) }),
		add("key.txt", newest, text(hex.EncodeToString(key)+"\n")), add("README.txt", newest, text(bundleText)), z.Close())
}
