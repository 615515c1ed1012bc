package deploy

import (
	"fmt"
	"strings"

	"ingot/firmware/smbios"
	"ingot/store"
	"ingot/store/sheet"
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

// form is how a supplier's list looks.
var form = sheet.Form{
	Columns: map[string][]string{
		"serial": {"serial", "serialnumber", "serialno", "serialnr", "sn", "servicetag", "seriennummer"},
		"maker":  {"manufacturer", "maker", "make", "vendor", "brand", "hersteller"},
		"model":  {"model", "product", "modelname", "modell"},
		"asset":  {"asset", "assettag", "assetnumber", "assetno", "inventory", "inventorynumber", "inventarnummer"},
		"owner":  {"owner", "user", "assignedto", "besitzer"},
		"role":   {"role", "rolle"},
		"note":   {"note", "notes", "comment", "remark", "notiz"},
		"uuid":   {"uuid", "smbiosuuid", "systemuuid"},
		"mac":    {"mac", "macaddress", "ethernet", "lanmac"},
	},
	Need:     map[string]string{"serial": "serial", "maker": "manufacturer"},
	MaxBytes: maxListBytes, MaxRows: maxListRows, Rows: "laptops",
}

// readList reads a supplier's list. It names every bad line, and gives the rows that are right by themselves.
func readList(data []byte) (rows []listRow, bad []store.BadLine) {
	lines := map[string]int{} // of what must stand once
	bad = form.Read(data, func(r sheet.Row) string {
		row, why := readRow(r)
		row.line = r.Line
		for _, once := range row.unique() {
			if first, twice := lines[once]; twice && why == "" {
				why = fmt.Sprintf("Line %d has the same %s.", first, strings.ReplaceAll(once, "\x00", " "))
			}
			lines[once] = r.Line
		}
		if why == "" {
			rows = append(rows, row)
		}
		return why
	})
	return rows, bad
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
func readRow(r sheet.Row) (row listRow, why string) {
	get := func(column string, most int) string {
		s := r.Get(column)
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
