package store

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
)

// LabelField is one thing that can stand on a device's label.
type LabelField string

// What can stand on a label, besides the QR code.
const (
	LabelName    LabelField = "name"
	LabelSerial  LabelField = "serial"
	LabelAsset   LabelField = "asset"
	LabelOwner   LabelField = "owner"
	LabelModel   LabelField = "model"
	LabelVersion LabelField = "version" // what the device holds
	LabelSite    LabelField = "site"    // a line of the site's own
)

// LabelFields lists them.
var LabelFields = []LabelField{LabelName, LabelSerial, LabelAsset, LabelOwner, LabelModel, LabelVersion, LabelSite}

// LabelCode says what the QR code of a label holds.
type LabelCode string

// What a label's QR code can hold.
const (
	CodeOfPage   LabelCode = "page"   // the address of the device's page
	CodeOfSerial LabelCode = "serial" // what the scan box takes as well
	CodeOfAsset  LabelCode = "asset"
	CodeOfNone   LabelCode = "none"
)

// LabelCodes lists them.
var LabelCodes = []LabelCode{CodeOfPage, CodeOfSerial, CodeOfAsset, CodeOfNone}

// Labels says what stands on labels, and how they are printed.
type Labels struct {
	Fields  []LabelField `json:"fields"` // in their order; the first one is large
	Site    string       `json:"site,omitempty"`
	Code    LabelCode    `json:"code"`
	Sheet   string       `json:"sheet"`             // name of the sheet of labels; see package report
	Printer string       `json:"printer,omitempty"` // HOST or HOST:PORT of a printer that speaks ZPL; empty: none
	DPI     int          `json:"dpi"`               // dots an inch of that printer
	Width   float64      `json:"width_mm"`          // of its labels
	Height  float64      `json:"height_mm"`
	By      string       `json:"by,omitempty"`
	Changed time.Time    `json:"changed,omitzero"`
}

const keyLabels = "labels"

// DefaultLabels is what holds until somebody says otherwise.
func DefaultLabels() Labels {
	return Labels{Fields: []LabelField{LabelName, LabelSerial, LabelAsset}, Code: CodeOfPage, Sheet: "a4-21", DPI: 203, Width: 57, Height: 32}
}

// Labels reads the settings.
func (tx *Tx) Labels() (Labels, error) {
	l, err := get[Labels](tx, bSettings, []byte(keyLabels))
	if errors.Is(err, ErrNotFound) {
		return DefaultLabels(), nil
	}
	return l, err
}

// PutLabels writes the settings.
func (tx *Tx) PutLabels(by string, l Labels) (Labels, error) {
	if err := l.Check(); err != nil {
		return l, err
	}
	l.By, l.Changed = by, tx.now
	text := fmt.Sprintf("%v, QR code of %s, sheet %s, printer %q.", l.Fields, l.Code, l.Sheet, l.Printer)
	return l, errors.Join(put(tx, bSettings, []byte(keyLabels), l), tx.Audit(by, "labels", "labels", text))
}

// host is a name or an IPv4 or IPv6 address; the resolver says whether there is one.
var host = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`)

// Check reports whether labels can be made so.
func (l Labels) Check() error {
	switch {
	case len(l.Fields) == 0 || len(l.Fields) > len(LabelFields):
		return job.Faultf(job.CodeLabel, "1 to %d fields stand on it.", len(LabelFields))
	case !slices.Contains(LabelCodes, l.Code):
		return job.Faultf(job.CodeLabel, "The QR code holds page, serial, asset or none, not %.20q.", string(l.Code))
	case !slices.Contains([]int{203, 300, 600}, l.DPI):
		return job.Faultf(job.CodeLabel, "A printer has 203, 300 or 600 dots an inch, not %d.", l.DPI)
	case !(l.Width >= 20 && l.Width <= 200 && l.Height >= 10 && l.Height <= 200):
		return job.Faultf(job.CodeLabel, "A label is 20 to 200 mm wide and 10 to 200 mm high.")
	case len(l.Site) > 60 || strings.ContainsFunc(l.Site, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return job.Faultf(job.CodeLabel, "The site's own line has at most 60 characters.")
	}
	for i, f := range l.Fields {
		if !slices.Contains(LabelFields, f) || slices.Contains(l.Fields[:i], f) {
			return job.Faultf(job.CodeLabel, "%.20q is not one of name, serial, asset, owner, model, version, site, or stands there twice.", string(f))
		}
	}
	if l.Printer == "" {
		return nil
	}
	_, err := l.Address()
	return err
}

// rawPort is the port on which label printers take what they are to print.
const rawPort = "9100"

// Address is HOST:PORT of the printer.
func (l Labels) Address() (string, error) {
	if l.Printer == "" {
		return "", job.Faultf(job.CodePrinter, "No label printer is set.")
	}
	h, port, err := net.SplitHostPort(l.Printer)
	if err != nil {
		h, port = strings.Trim(l.Printer, "[]"), rawPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !host.MatchString(h) {
		return "", job.Faultf(job.CodeLabel, "%.60q is no address of a printer, such as labels.example or 192.168.10.9:9100.", l.Printer)
	}
	return net.JoinHostPort(h, port), nil
}
