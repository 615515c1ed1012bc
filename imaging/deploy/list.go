package deploy

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ingot/firmware/smbios"
	"ingot/store"
)

// Bounds of a supplier's list.
const (
	maxListBytes = 512 << 10
	maxListRows  = 5000
)

// listRow is one laptop of a supplier's list, read and checked by itself.
type listRow struct {
	line                                     int
	serial, maker, model, asset, owner, role string
	note, uuid, mac                          string
}

// columns are the headings that a column is known by, without case and without anything but letters and digits.
var columns = map[string][]string{
	"serial": {"serial", "serialnumber", "serialno", "serialnr", "sn", "servicetag", "seriennummer"},
	"maker":  {"manufacturer", "maker", "make", "vendor", "brand", "hersteller"},
	"model":  {"model", "product", "modelname", "modell"},
	"asset":  {"asset", "assettag", "assetnumber", "assetno", "inventory", "inventorynumber", "inventarnummer"},
	"owner":  {"owner", "user", "assignedto", "besitzer"},
	"role":   {"role", "rolle"},
	"note":   {"note", "notes", "comment", "remark", "notiz"},
	"uuid":   {"uuid", "smbiosuuid", "systemuuid"},
	"mac":    {"mac", "macaddress", "ethernet", "lanmac"},
}

// readList reads a supplier's list: CSV with commas, semicolons or tabs, with or without a BOM, any line ends, a
// heading in its first line. It names every bad line, and gives the rows that are right by themselves.
func readList(data []byte) ([]listRow, []store.BadLine) {
	fail := func(line int, format string, args ...any) []store.BadLine {
		return []store.BadLine{{Line: line, Why: fmt.Sprintf(format, args...)}}
	}
	switch {
	case len(data) > maxListBytes:
		return nil, fail(1, "The list has %d bytes; %d fit.", len(data), maxListBytes)
	case !utf8.Valid(data):
		return nil, fail(1, "The list is not UTF-8 text: save it as \"CSV UTF-8\".")
	case bytes.ContainsRune(data, 0):
		return nil, fail(1, "The list holds zero bytes: save it as \"CSV UTF-8\".")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	head, _, _ := bytes.Cut(data, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = comma(string(head)), -1, true
	heading, err := r.Read()
	if err != nil {
		return nil, fail(1, "The list has no heading.")
	}
	places, why := headings(heading)
	if why != "" {
		return nil, fail(1, "%s", why)
	}
	return readRows(r, places, len(heading))
}

// comma is the separator that the heading uses most.
func comma(head string) rune {
	best, n := ',', strings.Count(head, ",")
	for _, c := range ";\t" {
		if k := strings.Count(head, string(c)); k > n {
			best, n = c, k
		}
	}
	return best
}

// headings finds which column is what. A column that is not known is left out: suppliers list prices, too.
func headings(heading []string) (map[string]int, string) {
	places := map[string]int{}
	for i, h := range heading {
		plain := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(h))
		for column, names := range columns {
			for _, n := range names {
				if n != plain {
					continue
				}
				if _, twice := places[column]; twice {
					return nil, fmt.Sprintf("Two columns say the %s.", column)
				}
				places[column] = i
			}
		}
	}
	for column, word := range map[string]string{"serial": "serial", "maker": "manufacturer"} {
		if _, ok := places[column]; !ok {
			return nil, fmt.Sprintf("No column is called %q.", word)
		}
	}
	return places, ""
}

func readRows(r *csv.Reader, places map[string]int, width int) (rows []listRow, bad []store.BadLine) {
	lines := map[string]int{} // of what must stand once
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, bad
		}
		if err != nil {
			line := 0
			var p *csv.ParseError
			if errors.As(err, &p) {
				line = p.Line
			}
			return nil, append(bad, store.BadLine{Line: line, Why: "A quotation mark is missing or stands where none belongs."})
		}
		line, _ := r.FieldPos(0)
		if strings.TrimSpace(strings.Join(fields, "")) == "" {
			continue
		}
		if len(rows)+len(bad) == maxListRows {
			return nil, append(bad, store.BadLine{Line: line, Why: fmt.Sprintf("The list has more than %d laptops.", maxListRows)})
		}
		row, why := readRow(fields, places, width)
		row.line = line
		for _, once := range row.unique() {
			if first, twice := lines[once]; twice && why == "" {
				why = fmt.Sprintf("Line %d has the same %s.", first, strings.ReplaceAll(once, "\x00", " "))
			}
			lines[once] = line
		}
		if why != "" {
			bad = append(bad, store.BadLine{Line: line, Why: why})
			continue
		}
		rows = append(rows, row)
	}
}

// unique is what no two laptops of a list may have in common.
func (r listRow) unique() []string {
	var out []string
	for _, x := range []struct{ what, value string }{{"serial", store.SerialKey(r.maker, r.serial)}, {"asset tag", strings.ToLower(r.asset)}, {"UUID", r.uuid}, {"MAC", r.mac}} {
		if x.value != "" {
			out = append(out, x.what+" "+x.value)
		}
	}
	return out
}

// readRow checks one line by itself and says what is wrong with it.
func readRow(fields []string, places map[string]int, width int) (row listRow, why string) {
	if len(fields) > width {
		return row, fmt.Sprintf("It has %d fields, the heading has %d.", len(fields), width)
	}
	get := func(column string, most int) (s string) {
		if i, ok := places[column]; ok && i < len(fields) {
			s = strings.Join(strings.Fields(fields[i]), " ") // a quoted field may have several lines
		}
		if err := fitEntry(column, s, most); err != nil && why == "" {
			why = fmt.Sprintf("The %s is longer than %d characters or cannot be printed.", column, most)
		}
		return s
	}
	row = listRow{serial: get("serial", maxEntry), maker: get("maker", maxEntry), model: get("model", maxEntry), asset: get("asset", maxEntry),
		owner: get("owner", maxEntry), role: get("role", maxEntry), note: get("note", maxNote)}
	uuid, mac := get("uuid", maxEntry), get("mac", maxEntry)
	if why != "" {
		return row, why
	}
	if uuid != "" {
		if row.uuid = store.UUIDKey(uuid); row.uuid == "" {
			return row, fmt.Sprintf("%q is not the UUID of one laptop.", uuid)
		}
	}
	if mac != "" {
		own := false
		if row.mac, own = smbios.OwnMAC(mac); !own {
			return row, fmt.Sprintf("%q is not the address of one built-in adapter.", mac)
		}
	}
	switch {
	case row.serial == "":
		return row, "The serial is missing."
	case row.maker == "":
		return row, "The manufacturer is missing."
	case fitSerial(row.serial) != nil || store.SerialKey(row.maker, row.serial) == "":
		return row, fmt.Sprintf("%q of %q is not the serial of one laptop.", row.serial, row.maker)
	}
	return row, ""
}
