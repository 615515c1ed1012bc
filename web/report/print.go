package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Bounds of one print.
const (
	MaxLabels = 500
	maxCopies = 20
)

// LabelOrder asks for the labels of devices.
type LabelOrder struct {
	Devices []string `json:"devices"` // each an id, a Name or a serial
	Copies  int      `json:"copies,omitempty"`
}

// Sent is what went to the printer. That it has printed, no printer of this kind says.
type Sent struct {
	Labels  int    `json:"labels"`
	Printer string `json:"printer"`
}

// LabelSettings reads how labels are made.
func (d *Desk) LabelSettings(context.Context) (l store.Labels, err error) {
	err = d.DB.View(func(tx *store.Tx) error { l, err = tx.Labels(); return err })
	return l, err
}

// SetLabels says how labels are made.
func (d *Desk) SetLabels(_ context.Context, operator string, l store.Labels) (out store.Labels, err error) {
	if address, err := l.Address(); l.Printer != "" && err == nil { // what is no address is refused below
		if a, err := netip.ParseAddrPort(address); err == nil { // a name is judged by its address, when it is asked
			if err := d.mayPrint(a.Addr()); err != nil {
				return out, err
			}
		}
	}
	err = d.DB.Update(func(tx *store.Tx) error { out, err = tx.PutLabels(operator, l); return err })
	return out, err
}

// Labels makes the labels of devices, in their order. base is the address of the pages, or "".
func (d *Desk) Labels(_ context.Context, devices []string, base string) (labels []Label, l store.Labels, err error) {
	if len(devices) == 0 || len(devices) > MaxLabels {
		return nil, l, job.Faultf(job.CodeBadRequest, "Name 1 to %d devices.", MaxLabels)
	}
	err = d.DB.View(func(tx *store.Tx) error {
		if l, err = tx.Labels(); err != nil {
			return err
		}
		for _, ref := range devices {
			dev, err := tx.FindDevice(ref)
			if err != nil {
				return err
			}
			version := ""
			if dep, err := tx.Deployment(dev.Deployment); err == nil {
				version = dep.Image.String()
			}
			labels = append(labels, labelOf(l, dev, version, base))
		}
		return nil
	})
	return labels, l, err
}

// ZPL makes the labels of devices as a file for a label printer.
func (d *Desk) ZPL(ctx context.Context, o LabelOrder, base string) ([]byte, store.Labels, error) {
	labels, l, err := d.Labels(ctx, o.Devices, base)
	if err != nil {
		return nil, l, err
	}
	if o.Copies < 0 || o.Copies > maxCopies {
		return nil, l, job.Faultf(job.CodeBadRequest, "Copies are 1 to %d.", maxCopies)
	}
	var b bytes.Buffer
	for _, label := range labels {
		text, err := label.Place(l.Width, l.Height).ZPL(l.DPI, max(1, o.Copies))
		if err != nil {
			return nil, l, fmt.Errorf("make label: %w", err)
		}
		b.WriteString(text)
	}
	return b.Bytes(), l, nil
}

// Print sends the labels of devices to the printer.
func (d *Desk) Print(ctx context.Context, operator string, o LabelOrder, base string) (Sent, error) {
	zpl, l, err := d.ZPL(ctx, o, base)
	if err != nil {
		return Sent{}, err
	}
	address, err := l.Address()
	if err != nil {
		return Sent{}, err
	}
	out := Sent{Labels: len(o.Devices) * max(1, o.Copies), Printer: address}
	d.printing.Lock() // one print after the other, and one that is asked for twice once
	defer d.printing.Unlock()
	request := store.Request{ID: store.StampOf(ctx).Request, Operator: operator, Act: "label", Subject: address}
	if done, err := d.printed(request); err != nil || done {
		return out, err
	}
	if err := d.sendToPrinter(ctx, address, zpl); err != nil {
		return Sent{}, err
	}
	return out, d.DB.Update(func(tx *store.Tx) error {
		err := tx.Audit(operator, "label", "labels", fmt.Sprintf("%d sent to %s: %.200s.", out.Labels, address, strings.Join(o.Devices, ", ")))
		if request.ID != "" && err == nil {
			request.Time = tx.Now()
			err = tx.PutRequest(request)
		}
		return err
	})
}

// printed reports whether a request was carried out before: a form that is sent twice prints once.
func (d *Desk) printed(r store.Request) (done bool, err error) {
	if r.ID == "" {
		return false, nil
	}
	err = d.DB.View(func(tx *store.Tx) error {
		was, seen, err := tx.Request(r.ID)
		if done = seen; err == nil && seen && (was.Act != r.Act || was.Operator != r.Operator) {
			err = job.Faultf(job.CodeBadRequest, "The request id %s stood for something else (%s by %s).", r.ID, was.Act, was.Operator)
		}
		return err
	})
	return done, err
}

// Patience with a printer.
const (
	dialPrinter   = 5 * time.Second
	answerPrinter = 2 * time.Second
	writePrinter  = 20 * time.Second
)

// mayPrint refuses an address that is never a printer's.
func (d *Desk) mayPrint(a netip.Addr) error {
	if d.Printers == nil {
		return nil
	}
	if err := d.Printers(a); err != nil {
		return job.Faultf(job.CodePrinter, "Nothing is sent there: %s", job.FaultOf(err).Fact)
	}
	return nil
}

// sendToPrinter asks the printer how it is, and sends it the labels unless it says that it cannot print. One that does
// not answer gets them: not each speaks so much of the language.
func (d *Desk) sendToPrinter(ctx context.Context, address string, zpl []byte) error {
	dialer := net.Dialer{Timeout: dialPrinter, Control: func(_, to string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(to)
		if err != nil {
			return fmt.Errorf("dial %s: %w", to, err)
		}
		return d.mayPrint(a.Addr())
	}}
	c, err := dialer.DialContext(ctx, "tcp", address)
	var refused *job.Fault
	if errors.As(err, &refused) {
		return refused
	}
	if err != nil {
		return job.Faultf(job.CodePrinter, "%s: %s.", address, job.Reason(err))
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if why := printerTrouble(c); why != "" {
		return job.Faultf(job.CodePrinter, "%s: %s.", address, why)
	}
	c.SetDeadline(time.Now().Add(writePrinter))
	if _, err := c.Write(zpl); err != nil {
		return job.Faultf(job.CodePrinter, "%s: it stopped taking data: %s.", address, job.Reason(err))
	}
	return nil
}

// printerTrouble asks for the host status (~HS) and says what keeps the printer from printing, or "".
func printerTrouble(c net.Conn) string {
	c.SetDeadline(time.Now().Add(answerPrinter))
	if _, err := io.WriteString(c, "~HS\r\n"); err != nil {
		return "it takes no data"
	}
	var answer []byte
	buf := make([]byte, 256)
	for len(answer) < 1024 && bytes.Count(answer, []byte{'\x03'}) < 2 {
		n, err := c.Read(buf)
		answer = append(answer, buf[:n]...)
		if err != nil {
			break
		}
	}
	return troubleOf(string(answer))
}

// troubleOf reads a host status: lines between STX and ETX, of which the first says whether labels are out (2nd field) and
// whether it pauses (3rd), the second whether its head is open (3rd).
func troubleOf(answer string) string {
	var lines [][]string
	for _, l := range strings.Split(answer, "\x02")[1:] {
		line, _, whole := strings.Cut(l, "\x03")
		if whole {
			lines = append(lines, strings.Split(line, ","))
		}
	}
	is := func(line, field int) bool {
		return line < len(lines) && field < len(lines[line]) && strings.TrimSpace(lines[line][field]) == "1"
	}
	switch {
	case is(0, 1):
		return "it has no labels"
	case is(1, 2):
		return "its head is open"
	case is(0, 2):
		return "it pauses"
	}
	return ""
}
