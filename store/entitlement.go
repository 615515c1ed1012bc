package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ingot/imaging/job"
)

// Entitlement is a right to use a product on so many devices, as a contract gives it.
type Entitlement struct {
	Product   string    `json:"product"` // what people call it; it names the record, in any case
	Seats     int       `json:"seats"`   // devices
	Vendor    string    `json:"vendor,omitempty"`
	Reference string    `json:"reference,omitempty"` // number of the contract or the order
	Note      string    `json:"note,omitempty"`
	Expires   time.Time `json:"expires,omitzero"` // the last day; zero: it does not
	By        string    `json:"by"`
	Changed   time.Time `json:"changed"`
}

// LicenceRule says to which Entitlement software belongs. The first rule that fits decides.
type LicenceRule struct {
	ID       int       `json:"id"`
	Software string    `json:"software"`          // its name; * stands for any text, ? for one character; case does not matter
	Kind     string    `json:"kind,omitempty"`    // deb, rpm, windows, appx, or system for the operating system itself; empty: any
	Vendor   string    `json:"vendor,omitempty"`  // as Software; empty: any
	Product  string    `json:"product,omitempty"` // the Entitlement's; empty: it needs no licence
	By       string    `json:"by"`
	Changed  time.Time `json:"changed"`
}

// Fits reports whether the rule speaks of this software.
func (r LicenceRule) Fits(kind, name, vendor string) bool {
	return (r.Kind == "" || r.Kind == kind) && like(r.Software, name) && (r.Vendor == "" || like(r.Vendor, vendor))
}

// like matches a text against a pattern of * and ?, without case. Its cost is bounded by the product of the lengths.
func like(pattern, text string) bool {
	p, t := []rune(strings.ToLower(pattern)), []rune(strings.ToLower(text))
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi] == '?' || p[pi] == t[ti]):
			pi, ti = pi+1, ti+1
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}

// LicenceKinds are the kinds of software that a rule may name.
var LicenceKinds = []string{"system", "windows", "appx", "deb", "rpm"}

// Bounds of what people enter about licences.
const (
	MaxEntitlements = 5000
	MaxLicenceRules = 2000
	maxProduct      = 120 // bytes; of a pattern too
	maxSeats        = 10_000_000
)

// Check reports whether an entitlement can be kept.
func (e Entitlement) Check() error {
	switch {
	case strings.TrimSpace(e.Product) == "" || strings.TrimSpace(e.Product) != e.Product:
		return job.Faultf(job.CodeLicence, "An entitlement names its product.")
	case e.Seats < 0 || e.Seats > maxSeats:
		return job.Faultf(job.CodeLicence, "%s: 0 to %d seats, not %d.", e.Product, maxSeats, e.Seats)
	}
	for what, s := range map[string]string{"product": e.Product, "vendor": e.Vendor, "reference": e.Reference} {
		if err := oneLine(what, s, maxProduct); err != nil {
			return err
		}
	}
	return oneLine("note", e.Note, MaxReason)
}

func oneLine(what, s string, most int) error {
	if len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return job.Faultf(job.CodeLicence, "The %s is one line of at most %d characters.", what, most)
	}
	return nil
}

func productKey(product string) []byte { return []byte(strings.ToLower(product)) }

// Entitlement reads one entitlement.
func (tx *Tx) Entitlement(product string) (Entitlement, error) {
	e, err := get[Entitlement](tx, bEntitlements, productKey(product))
	if errors.Is(err, ErrNotFound) {
		return e, job.Faultf(job.CodeNotFound, "No entitlement for %.60q.", product)
	}
	return e, err
}

// Entitlements lists them, by product.
func (tx *Tx) Entitlements() ([]Entitlement, error) { return all[Entitlement](tx, bEntitlements) }

// PutEntitlement writes an entitlement, in the place of one for the same product.
func (tx *Tx) PutEntitlement(by string, e Entitlement) (Entitlement, error) {
	if err := e.Check(); err != nil {
		return e, err
	}
	text := fmt.Sprintf("%d seats.", e.Seats)
	switch old, err := tx.Entitlement(e.Product); {
	case err == nil:
		text = fmt.Sprintf("%d seats, was %d.", e.Seats, old.Seats)
	case job.FaultOf(err).Code != job.CodeNotFound:
		return e, err
	default:
		held, err := tx.Entitlements()
		if err != nil {
			return e, err
		}
		if len(held) >= MaxEntitlements {
			return e, job.Faultf(job.CodeLicence, "%d entitlements are kept already.", len(held))
		}
	}
	e.By, e.Changed = by, tx.now
	return e, errors.Join(put(tx, bEntitlements, productKey(e.Product), e), tx.Audit(by, "entitlement", e.Product, text))
}

// RemoveEntitlement removes an entitlement to which no rule leads.
func (tx *Tx) RemoveEntitlement(by, product string) error {
	e, err := tx.Entitlement(product)
	if err != nil {
		return err
	}
	rules, err := tx.LicenceRules()
	if err != nil {
		return err
	}
	for _, r := range rules {
		if strings.EqualFold(r.Product, e.Product) {
			return job.Faultf(job.CodeLicence, "Rule %d says that %q belongs to %s: remove the rule first.", r.ID, r.Software, e.Product)
		}
	}
	return errors.Join(tx.remove(bEntitlements, productKey(product)), tx.Audit(by, "entitlement removed", e.Product, fmt.Sprintf("It had %d seats.", e.Seats)))
}

const keyLicenceRules = "licence-rules"

// licenceRules is the list as it is kept: in the order in which the rules are tried.
type licenceRules struct {
	Last  int           `json:"last"` // id given last
	Rules []LicenceRule `json:"rules"`
}

// LicenceRules lists the rules in the order in which they are tried.
func (tx *Tx) LicenceRules() ([]LicenceRule, error) {
	l, err := setting[licenceRules](tx, keyLicenceRules)
	return l.Rules, err
}

// AddLicenceRule puts a rule in front of the others, or behind the rule with the id after; -1 is behind all.
func (tx *Tx) AddLicenceRule(by string, r LicenceRule, after int) (LicenceRule, error) {
	l, err := setting[licenceRules](tx, keyLicenceRules)
	if err != nil {
		return r, err
	}
	if r.Product != "" {
		e, err := tx.Entitlement(r.Product)
		if err != nil {
			return r, err
		}
		r.Product = e.Product
	}
	if err := r.check(len(l.Rules)); err != nil {
		return r, err
	}
	for _, o := range l.Rules { // a form that is sent twice adds one rule
		if o.Words() == r.Words() {
			return o, job.Faultf(job.CodeLicence, "Rule %d says that already, since %s by %s.", o.ID, o.Changed.Format(time.DateOnly), o.By)
		}
	}
	place := 0
	switch i := slices.IndexFunc(l.Rules, func(o LicenceRule) bool { return o.ID == after }); {
	case after < 0:
		place = len(l.Rules)
	case after > 0 && i < 0:
		return r, job.Faultf(job.CodeNotFound, "No rule %d.", after)
	case after > 0:
		place = i + 1
	}
	l.Last++
	r.ID, r.By, r.Changed = l.Last, by, tx.now
	l.Rules = slices.Insert(l.Rules, place, r)
	return r, errors.Join(put(tx, bSettings, []byte(keyLicenceRules), l), tx.Audit(by, "licence rule", fmt.Sprint(r.ID), r.Words()))
}

func (r LicenceRule) check(have int) error {
	switch {
	case strings.TrimSpace(r.Software) == "":
		return job.Faultf(job.CodeLicence, "A rule names software, such as \"Microsoft Office*\".")
	case r.Kind != "" && !slices.Contains(LicenceKinds, r.Kind):
		return job.Faultf(job.CodeLicence, "The kind of software is %s, not %.20q.", strings.Join(LicenceKinds, ", "), r.Kind)
	case have >= MaxLicenceRules:
		return job.Faultf(job.CodeLicence, "%d rules are kept already.", have)
	}
	return errors.Join(oneLine("pattern", r.Software, maxProduct), oneLine("vendor", r.Vendor, maxProduct))
}

// Words is the rule as a sentence.
func (r LicenceRule) Words() string {
	what := fmt.Sprintf("%q", r.Software)
	if r.Kind != "" {
		what += " of kind " + r.Kind
	}
	if r.Vendor != "" {
		what += fmt.Sprintf(" by %q", r.Vendor)
	}
	if r.Product == "" {
		return what + " needs no licence."
	}
	return what + " belongs to " + r.Product + "."
}

// RemoveLicenceRule removes a rule.
func (tx *Tx) RemoveLicenceRule(by string, id int) error {
	l, err := setting[licenceRules](tx, keyLicenceRules)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(l.Rules, func(o LicenceRule) bool { return o.ID == id })
	if i < 0 {
		return job.Faultf(job.CodeNotFound, "No rule %d.", id)
	}
	text := l.Rules[i].Words()
	l.Rules = slices.Delete(l.Rules, i, i+1)
	return errors.Join(put(tx, bSettings, []byte(keyLicenceRules), l), tx.Audit(by, "licence rule removed", fmt.Sprint(id), text))
}
