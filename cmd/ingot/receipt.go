package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	imagebundle "ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

func (a *app) receiptCommand() *cobra.Command {
	return group("receipt", "The signed proof of what a device received", a.receiptShow(), a.receiptVerify())
}

func (a *app) receiptShow() *cobra.Command {
	var file, pdf string
	c := &cobra.Command{Use: "show DEVICE|DEPLOYMENT", Short: "Issue the receipt of what a device holds, or of one deployment", Example: "ingot receipt show SALES-017\ningot receipt show SALES-017 --file SALES-017.json --pdf SALES-017.pdf",
		Long: `The signed file is the proof; keep it elsewhere than on this server: it shows later whether the record or the audit trail was
changed (ingot receipt verify, ingot audit verify --against). The PDF is a picture of it. "-" writes to standard output.`,
		Args: args(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				id, err := deploymentOf(c, cl, given[0])
				if err != nil {
					return err
				}
				signed, err := get[report.SignedReceipt](c.Context(), cl, "deployments/"+url.PathEscape(id)+"/receipt")
				if err != nil {
					return err
				}
				if err := a.saveReceipt(c, cl, signed, file, pdf); err != nil || file == "-" || pdf == "-" {
					return err
				}
				return a.tellReceipt(signed)
			})
		}}
	c.Flags().StringVar(&file, "file", "", "write the signed file here")
	c.Flags().StringVar(&pdf, "pdf", "", "write the PDF here")
	return a.outputFlag(c)
}

// deploymentOf is the deployment that a person means: a device's last, or the one of that id.
func deploymentOf(c *cobra.Command, cl *client, ref string) (string, error) {
	d, err := get[store.DeviceView](c.Context(), cl, "devices/"+url.PathEscape(ref))
	switch {
	case err == nil && d.Holds == nil:
		return "", job.Faultf(job.CodeNotFound, "%s received nothing yet.", d.Label())
	case err == nil:
		return d.Holds.ID, nil
	case job.FaultOf(err).Code == job.CodeNotFound:
		return ref, nil
	}
	return "", err
}

// saveReceipt writes one receipt as its signed file and as a picture of that, whichever is wanted.
func (a *app) saveReceipt(c *cobra.Command, cl *client, signed report.SignedReceipt, file, pdf string) error {
	if file != "" {
		b, err := signed.File()
		if err == nil {
			err = a.save(file, b)
		}
		if err != nil {
			return err
		}
	}
	if pdf == "" {
		return nil
	}
	body, err := cl.send(c.Context(), http.MethodPost, "receipts/pdf", signed)
	if err != nil {
		return err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return job.Faultf(job.CodeDaemon, "The receipt did not arrive whole.")
	}
	return a.save(pdf, b)
}

// save writes a new file, or standard output for "-".
func (a *app) save(to string, b []byte) error {
	if to == "-" {
		_, err := a.out.Write(b)
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return job.Faultf(job.CodeFile, "%q is there already.", to)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func (a *app) tellReceipt(signed report.SignedReceipt) error {
	file, err := signed.File()
	if err != nil {
		return err
	}
	r, _, err := report.OpenReceipt(file)
	if err != nil {
		return err
	}
	return a.tell(r, r.Deployment.ID, func() error {
		for _, s := range r.Sections(signed, time.Local) {
			fmt.Fprintln(a.out, strings.ToUpper(s.Title))
			for _, l := range s.Lines {
				if _, err := fmt.Fprintf(a.out, "  %-18s%s\n", l.Label, printable(l.Text)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (a *app) receiptVerify() *cobra.Command {
	var key string
	var alone bool
	c := &cobra.Command{Use: "verify FILE...", Short: "Hold receipts against the record and the audit trail", Example: "ingot receipt verify SALES-017.json\ningot receipt verify SALES-017.json --alone --key sha256:0123...",
		Long: `A receipt holds when its signature does, by this server's key or by the one that --key names, when the audit trail still has
both events that it names, and when the record of the deployment says the same. With --alone only the signature is
checked, without any record: on any machine, by the key that --key names ("ingot image keys" prints it on the server).`,
		Args: args(cobra.MinimumNArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			files, err := readReceipts(given)
			if err != nil {
				return err
			}
			if alone {
				if !imagebundle.CheckFingerprint(key) {
					return usage{errors.New("--alone needs --key with a fingerprint")}
				}
				return a.tellFindings(given, signatures(files, key))
			}
			return a.with(false, func(cl *client) error {
				out, err := inParts(c.Context(), cl, files, key)
				if err != nil {
					return err
				}
				return a.tellFindings(given, out.Receipts)
			})
		}}
	c.Flags().StringVar(&key, "key", "", "fingerprint of the key that may have signed them besides this server's")
	c.Flags().BoolVar(&alone, "alone", false, "check the signatures only, without any record")
	return a.outputFlag(c)
}

// readReceipts reads files up to one byte more than a receipt has: the check says so in words.
func readReceipts(paths []string) (files [][]byte, err error) {
	for _, p := range paths {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) {
			return nil, job.Faultf(job.CodeNotFound, "No file %q.", p)
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(f, report.MaxReceipt+1))
		f.Close()
		if err != nil {
			return nil, err
		}
		files = append(files, b)
	}
	return files, nil
}

// maxPart bounds the receipts of one request, as they travel.
const maxPart = 960 << 10

// inParts has the audit trail proven and held against receipts, in as many parts as their size wants.
func inParts(ctx context.Context, cl *client, files [][]byte, key string) (all report.AuditVerified, err error) {
	for first := true; first || len(files) > 0; first = false {
		n, size := 0, 0
		for n < len(files) {
			if size += base64.StdEncoding.EncodedLen(len(files[n])) + 3; n > 0 && size > maxPart {
				break
			}
			n++
		}
		out, err := post[report.AuditVerified](ctx, cl, "audit/verify", report.Against{Receipts: files[:n], Key: key})
		if err != nil {
			return all, err
		}
		if len(out.Receipts) != n {
			return all, job.Faultf(job.CodeDaemon, "It was asked about %d receipts and answered about %d.", n, len(out.Receipts))
		}
		all.Chain, all.Receipts, files = out.Chain, append(all.Receipts, out.Receipts...), files[n:]
	}
	return all, nil
}

// signatures checks receipts by themselves.
func signatures(files [][]byte, key string) (out []report.Finding) {
	for _, file := range files {
		r, pub, err := report.OpenReceipt(file)
		f := report.Finding{Deployment: r.Deployment.ID, Device: r.Device.Serial, Issued: r.Issued, Chain: r.Chain.Number, Holds: err == nil}
		if err != nil {
			f.What = []string{job.FaultOf(err).Fact}
		} else if f.Key = imagebundle.Fingerprint(pub); f.Key != key {
			f.Holds, f.What = false, []string{"It is signed by another key, " + f.Key + "."}
		}
		out = append(out, f)
	}
	return out
}

// tellFindings says of each file whether it holds. One that does not is exit code 3.
func (a *app) tellFindings(paths []string, all []report.Finding) error {
	type row struct {
		File string `json:"file"`
		report.Finding
	}
	var rows []row
	bad := 0
	for i, f := range all {
		rows = append(rows, row{paths[i], f})
		if !f.Holds {
			bad++
		}
	}
	err := show(a, rows, func(r row) string { return r.File },
		column[row]{head: "FILE", cell: func(r row) string { return r.File }},
		column[row]{head: "DEVICE", cell: func(r row) string { return r.Device }},
		column[row]{head: "UP TO EVENT", cell: func(r row) string { return fmt.Sprint(r.Chain) }},
		column[row]{head: "ISSUED", cell: func(r row) string { return when(r.Issued) }},
		column[row]{head: "OUTCOME", cell: func(r row) string {
			if r.Holds {
				return "holds"
			}
			return strings.Join(r.What, " ")
		}},
		column[row]{head: "KEY", wide: true, cell: func(r row) string { return r.Key }})
	if err == nil && bad > 0 {
		err = partly{fmt.Errorf("of %d receipts %d do not hold", len(all), bad)}
	}
	return err
}

// auditVerify proves the audit trail, alone and against receipts.
func (a *app) auditVerify() *cobra.Command {
	var against []string
	var key string
	c := &cobra.Command{Use: "verify [--against RECEIPT...]", Short: "Prove the audit trail, and hold it against receipts that were kept elsewhere", Example: "ingot audit verify\ningot audit verify --against SALES-017.json SALES-018.json",
		Long: `Each event carries the hash of the one before: an event that was changed, removed or put elsewhere is named. That the newest
events were cut off, or that all of it was built again, a receipt shows that was issued before and kept elsewhere
("ingot receipt show --file"). Exit code 3 when something was found.`,
		Args: args(cobra.ArbitraryArgs), RunE: func(c *cobra.Command, given []string) error {
			if len(given) > 0 && len(against) == 0 {
				return usage{errors.New("name receipts with --against")}
			}
			paths := append(against, given...)
			files, err := readReceipts(paths)
			if err != nil {
				return err
			}
			return a.with(false, func(cl *client) error {
				out, err := inParts(c.Context(), cl, files, key)
				if err != nil {
					return err
				}
				return a.tellVerified(paths, out)
			})
		}}
	c.Flags().StringArrayVar(&against, "against", nil, "a receipt's file; more may follow")
	c.Flags().StringVar(&key, "key", "", "fingerprint of the key that may have signed them besides this server's")
	return a.outputFlag(c)
}

func (a *app) tellVerified(paths []string, v report.AuditVerified) error {
	err := a.tell(v, v.Head.String(), func() error {
		fmt.Fprintf(a.out, "%d events hold, head %s\n", v.Events, v.Head)
		for i, f := range v.Receipts {
			outcome := "holds"
			if !f.Holds {
				outcome = strings.Join(f.What, " ")
			}
			if _, err := fmt.Fprintf(a.out, "%s, up to event %d: %s\n", printable(paths[i]), f.Chain, printable(outcome)); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case v.Broken > 0:
		return partly{fmt.Errorf("event %d of the audit trail was changed, removed or put elsewhere", v.Broken)}
	case !v.Holds():
		return partly{errors.New("the audit trail or a record is not what a receipt says")}
	}
	return nil
}
