package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
	"ingot/web"
)

func (a *app) certCommand() *cobra.Command {
	return group("cert", "Certificates of wiped drives and records of destroyed ones", a.certList(), a.certShow(), a.certVerify(), a.certExport(), a.certKey(), a.certCheck())
}

func (a *app) certList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list [DEVICE|DRIVE]", Short: "List the records, newest first: all, or of one device or drive", Args: args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot cert list SALES-017",
		RunE: func(c *cobra.Command, given []string) error {
			path := "certificates"
			if len(given) == 1 {
				path += "?of=" + url.QueryEscape(given[0])
			}
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.EvidenceView](c.Context(), cl, path)
				if err != nil {
					return err
				}
				return show(a, all, func(e store.EvidenceView) string { return e.ID },
					column[store.EvidenceView]{head: "RECORD", cell: func(e store.EvidenceView) string { return e.ID }},
					column[store.EvidenceView]{head: "DRIVE", cell: func(e store.EvidenceView) string { return strings.TrimPrefix(e.DriveWord, "drive ") }},
					column[store.EvidenceView]{head: "IS", cell: func(e store.EvidenceView) string { return string(e.Kind) }},
					column[store.EvidenceView]{head: "CLAIM", cell: func(e store.EvidenceView) string { return e.Claim }},
					column[store.EvidenceView]{head: "TECHNIQUE", cell: func(e store.EvidenceView) string { return e.Technique }},
					column[store.EvidenceView]{head: "DEVICE", cell: func(e store.EvidenceView) string { return e.Label }},
					column[store.EvidenceView]{head: "SERIAL", cell: func(e store.EvidenceView) string { return e.Serial }},
					column[store.EvidenceView]{head: "BY", cell: func(e store.EvidenceView) string { return e.Operator }},
					column[store.EvidenceView]{head: "WHEN", cell: func(e store.EvidenceView) string { return when(e.Time) }},
					column[store.EvidenceView]{head: "NOW IN", wide: true, cell: func(e store.EvidenceView) string { return e.Where }},
					column[store.EvidenceView]{head: "SHA-256", wide: true, cell: func(e store.EvidenceView) string { return strings.TrimPrefix(e.Hash, "sha256:") }},
				)
			})
		}})
}

func (a *app) certShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show RECORD", Short: "Show one record in words; -o json gives the signed file itself", Args: args(cobra.ExactArgs(1)), Example: "ingot cert show W-000017",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				file, err := fetch(c, cl, "certificates/"+url.PathEscape(given[0])+"/file")
				if err != nil {
					return err
				}
				if a.output == "json" {
					_, err := a.out.Write(file)
					return err
				}
				key, err := certificateKey(c, cl)
				if err != nil {
					return err
				}
				return a.sayRecord(file, key)
			})
		}})
}

// sayRecord tells what a file says, if it holds.
func (a *app) sayRecord(file []byte, keyText string) error {
	key, err := cert.KeyOf(keyText)
	if err != nil {
		return err
	}
	r, err := cert.Verify(file, key)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	row := func(head, format string, args ...any) {
		if s := printable(fmt.Sprintf(format, args...)); strings.TrimSpace(s) != "" {
			fmt.Fprintf(w, "%s\t%s\n", head, s)
		}
	}
	people := func(all []cert.Person) {
		for _, p := range all {
			row(printable(strings.ToUpper(p.Role[:min(1, len(p.Role))])+p.Role[min(1, len(p.Role)):]), "%s, %s", p.Name, when(p.Time))
		}
	}
	row(r.Title(), "%s", strings.TrimSuffix(r.ID+", "+r.Organisation, ", "))
	row("Device", "%s %s %s, serial %s", r.Device.Name, r.Device.Manufacturer, r.Device.Model, r.Device.Serial)
	row("Drive", "%s, serial %s, %s", r.Drive.Model, r.Drive.Serial, size(r.Drive.SizeBytes))
	if s := r.Sanitised; s != nil {
		row("Technique", "%s", s.Does)
		row("Claim", "%s, under policy %s %d, which wants %s", s.Claim, s.Policy, s.PolicyVersion, s.Wanted)
		row("Verified", "%s", s.Verification)
		row("Status", "%s %s", s.Status, strings.Join(s.Warnings, " "))
		row("Time", "%s to %s", s.Started, s.Finished)
		people(s.People)
	}
	if d := r.Destroyed; d != nil {
		row("Method", "%s, at %s, %s", d.Method, d.Place, when(d.Time))
		row("Why", "%s", d.Why)
		row("Reference", "%s %s", d.Reference, d.PhotoSHA256)
		people(d.People)
	}
	row("File", "%s", cert.Hash(file))
	row("Key", "%s", cert.Fingerprint(key))
	row("Signature", "it holds")
	return w.Flush()
}

func (a *app) certVerify() *cobra.Command {
	var key string
	c := &cobra.Command{Use: "verify FILE...", Short: "Verify signed records offline, with nothing but the public key", Args: args(cobra.MinimumNArgs(1)),
		Long: "Needs no server and no data folder. FILE is one record, or the list that \"ingot cert export --format json\" writes.\n" +
			"KEY is the public key in hex, or a file that holds it, as \"ingot cert key\" prints it.",
		Example: "ingot cert verify W-000017.json --key key.txt",
		RunE: func(_ *cobra.Command, files []string) error {
			if b, err := os.ReadFile(key); err == nil {
				key = string(b)
			}
			pub, err := cert.KeyOf(key)
			if err != nil {
				return usage{err}
			}
			bad := 0
			var all []verified
			for _, f := range files {
				all = append(all, verifyFile(f, pub)...)
			}
			for _, v := range all {
				if v.Fault != nil {
					bad++
				}
			}
			if err := show(a, all, func(v verified) string { return v.File },
				column[verified]{head: "FILE", cell: func(v verified) string { return v.File }},
				column[verified]{head: "HOLDS", cell: func(v verified) string { return map[bool]string{true: "yes", false: "NO"}[v.Holds] }},
				column[verified]{head: "RECORD", cell: func(v verified) string { return v.Record }},
				column[verified]{head: "DRIVE", cell: func(v verified) string { return v.Drive }},
				column[verified]{head: "WHY", cell: func(v verified) string { return v.why() }}); err != nil || bad == 0 {
				return err
			}
			return job.Faultf(job.CodeTampered, "Records that do not hold: %d of %d.", bad, len(all))
		}}
	c.Flags().StringVar(&key, "key", "", "the public key in hex, or a file with it")
	must(c, "key")
	return a.outputFlag(c)
}

// verified is what was found about one file.
type verified struct {
	File   string     `json:"file"`
	Holds  bool       `json:"holds"`
	Record string     `json:"record,omitempty"`
	Drive  string     `json:"drive,omitempty"`
	Fault  *job.Fault `json:"fault,omitempty"`
}

func (v verified) why() string {
	if v.Fault == nil {
		return ""
	}
	return v.Fault.Fact
}

// verifyFile verifies the record in a file, or each of the list that "ingot cert export --format json" writes.
func verifyFile(path string, key ed25519.PublicKey) (all []verified) {
	b, err := readBounded(path)
	if err != nil {
		return []verified{{File: path, Fault: job.FaultOf(err)}}
	}
	for _, one := range recordsIn(b) {
		v := verified{File: path, Holds: true}
		r, err := cert.Verify(one, key)
		if err != nil {
			v.Holds, v.Fault = false, job.FaultOf(err)
		} else {
			v.Record, v.Drive = r.ID, r.Drive.Serial
		}
		all = append(all, v)
	}
	return all
}

// recordsIn gives the records of a list, byte for byte; whatever is no list is one record.
func recordsIn(b []byte) [][]byte {
	var list []json.RawMessage
	if json.Unmarshal(b, &list) != nil || len(list) == 0 {
		return [][]byte{b}
	}
	out := make([][]byte, len(list))
	for i, one := range list {
		out[i] = one
	}
	return out
}

// maxRecords is the largest list of records that is read, in bytes; what is longer is cut, and so no list.
const maxRecords = 256 << 20

// readBounded reads a file that may be anything.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRecords))
}

func (a *app) certExport() *cobra.Command {
	var format, out, of, since, until string
	c := &cobra.Command{Use: "export", Short: "Hand records out: CSV for a vendor, the signed files, or a ZIP of them with PDFs", Args: args(cobra.NoArgs),
		Example: "ingot cert export --format csv --since 2026-05-01 --until 2026-05-31 --out may.csv\ningot cert export --of SALES-017 --format zip --out SALES-017.zip",
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "csv" && format != "json" && format != "zip" {
				return usage{fmt.Errorf("--format is csv, json or zip, not %q", format)}
			}
			return a.with(false, func(cl *client) error {
				b, err := fetch(c, cl, "certificates/export?"+url.Values{"format": {format}, "of": {of}, "since": {since}, "until": {until}}.Encode())
				if err != nil {
					return err
				}
				if out == "" || out == "-" {
					_, err := a.out.Write(b)
					return err
				}
				if err := writeNew(out, b); err != nil {
					return err
				}
				return a.tell(exported{out, format, len(b)}, out, a.sayf("%s: %s", out, size(uint64(len(b)))))
			})
		}}
	c.Flags().StringVar(&format, "format", "csv", "csv, json or zip")
	c.Flags().StringVar(&out, "out", "", "file that is written; default: standard output")
	c.Flags().StringVar(&of, "of", "", "one device, or the serial of one drive")
	c.Flags().StringVar(&since, "since", "", "first day, such as 2026-11-01")
	c.Flags().StringVar(&until, "until", "", "last day")
	return a.outputFlag(c)
}

// exported tells of a file that was written.
type exported struct {
	File   string `json:"file"`
	Format string `json:"format"`
	Bytes  int    `json:"bytes"`
}

func (a *app) certKey() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "key", Short: "Print the public key by which everybody verifies", Args: args(cobra.NoArgs), Example: "ingot cert key",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				k, err := get[web.CertificateKeyView](c.Context(), cl, "certificates/key")
				if err != nil {
					return err
				}
				return a.tell(k, k.Fingerprint, func() error {
					fmt.Fprintln(a.out, k.Key)
					_, err := fmt.Fprintln(a.err, k.Fingerprint)
					return err
				})
			})
		}})
}

func (a *app) certCheck() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "check", Short: "Walk the whole chain of records: none was changed, taken out or put between", Args: args(cobra.NoArgs), Example: "ingot cert check",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				chain, err := get[cert.Chain](c.Context(), cl, "certificates/check")
				if err != nil {
					return err
				}
				if err := a.tell(chain, chain.Head, a.sayf("%d records hold, the newest is %s", chain.Records, orDash(chain.Head))); err != nil || chain.Broken == 0 {
					return err
				}
				return partly{job.Faultf(job.CodeTampered, "Record number %d: %s", chain.Broken, chain.Why)}
			})
		}})
}

func certificateKey(c *cobra.Command, cl *client) (string, error) {
	k, err := get[web.CertificateKeyView](c.Context(), cl, "certificates/key")
	return k.Key, err
}

// fetch reads what is no JSON answer, whole.
func fetch(c *cobra.Command, cl *client, path string) ([]byte, error) {
	body, err := cl.send(c.Context(), http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// writeNew writes a file that must not be there yet, whole or not at all.
func writeNew(path string, b []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return job.Faultf(job.CodeFile, "%s is there already.", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ingot-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	for _, e := range []error{err, f.Sync(), f.Close()} {
		if e != nil {
			return fmt.Errorf("write %s: %w", path, e)
		}
	}
	return os.Rename(f.Name(), path)
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
