package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

func (a *app) labelCommand() *cobra.Command {
	return group("label", "Labels for devices: on a label printer, or as a file for one", a.labelPrint(), a.labelFile(), a.labelShow(), a.labelSet())
}

func (a *app) labelPrint() *cobra.Command {
	var o report.LabelOrder
	c := &cobra.Command{Use: "print DEVICE...", Short: "Send labels to the label printer", Example: "ingot label print SALES-017 SALES-018", Args: args(cobra.MinimumNArgs(1)),
		Long: "The printer is asked first whether it can print. A sheet to print from a browser is on the page /labels.",
		RunE: func(c *cobra.Command, given []string) error {
			o.Devices = given
			return a.with(false, func(cl *client) error {
				out, err := post[report.Sent](c.Context(), cl, "labels/print", o)
				if err != nil {
					return err
				}
				return a.tell(out, out.Printer, a.sayf("%s went to %s", counted(out.Labels, "label", "labels"), out.Printer))
			})
		}}
	c.Flags().IntVar(&o.Copies, "copies", 1, "of each")
	return a.outputFlag(c)
}

func (a *app) labelFile() *cobra.Command {
	var file string
	var copies int
	c := &cobra.Command{Use: "file DEVICE...", Short: "Write labels as a file in the printer's language (ZPL)", Example: "ingot label file SALES-017 --file labels.zpl", Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			q := url.Values{"device": given, "copies": {fmt.Sprint(copies)}}
			return a.with(false, func(cl *client) error {
				body, err := cl.send(c.Context(), http.MethodGet, "labels.zpl?"+q.Encode(), nil)
				if err != nil {
					return err
				}
				defer body.Close()
				b, err := io.ReadAll(body)
				if err != nil {
					return job.Faultf(job.CodeDaemon, "The labels did not arrive whole.")
				}
				if err := a.save(file, b); err != nil || file == "-" {
					return err
				}
				return a.tell(file, file, a.sayf("wrote %s", file))
			})
		}}
	c.Flags().StringVar(&file, "file", "", "write it here; \"-\" is standard output")
	c.Flags().IntVar(&copies, "copies", 1, "of each")
	must(c, "file")
	return a.outputFlag(c)
}

func (a *app) labelShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show", Short: "Show what stands on labels, and the printer", Example: "ingot label show", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			l, err := get[store.Labels](c.Context(), cl, "labels")
			if err != nil {
				return err
			}
			return a.tellLabels(l)
		})
	}})
}

func (a *app) tellLabels(l store.Labels) error {
	return a.tell(l, l.Printer, a.sayf("%s; QR code of %s; sheet %s; printer %s, %d dots an inch, labels of %g x %g mm", fieldWords(l.Fields), l.Code, l.Sheet, orDash(l.Printer), l.DPI, l.Width, l.Height))
}

func fieldWords(fields []store.LabelField) string {
	var out []string
	for _, f := range fields {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

func (a *app) labelSet() *cobra.Command {
	var fields []string
	var site, code, sheet, printer string
	var dpi int
	var width, height float64
	c := &cobra.Command{Use: "set", Short: "Say what stands on labels, and where they are printed", Example: "ingot label set --printer 192.168.10.9 --width 57 --height 32\ningot label set --fields name,serial,asset,site --site \"Helpdesk 4711\"", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				l, err := get[store.Labels](c.Context(), cl, "labels")
				if err != nil {
					return err
				}
				changed := c.Flags().Changed
				if changed("fields") {
					l.Fields = nil
					for _, f := range fields {
						l.Fields = append(l.Fields, store.LabelField(strings.TrimSpace(f)))
					}
				}
				for name, set := range map[string]func(){"site": func() { l.Site = site }, "code": func() { l.Code = store.LabelCode(code) }, "sheet": func() { l.Sheet = sheet }, "printer": func() { l.Printer = printer },
					"dpi": func() { l.DPI = dpi }, "width": func() { l.Width = width }, "height": func() { l.Height = height }} {
					if changed(name) {
						set()
					}
				}
				if l, err = post[store.Labels](c.Context(), cl, "labels", l); err != nil {
					return err
				}
				return a.tellLabels(l)
			})
		}}
	c.Flags().StringSliceVar(&fields, "fields", nil, "lines in their order, the first one large: name, serial, asset, owner, model, version, site")
	c.Flags().StringVar(&site, "site", "", "the site's own line")
	c.Flags().StringVar(&code, "code", "", "what the QR code holds: page, serial, asset or none")
	c.Flags().StringVar(&sheet, "sheet", "", "sheet of labels for the browser: a4-14, a4-21, a4-24, a4-65, letter-30 or single")
	c.Flags().StringVar(&printer, "printer", "", "HOST or HOST:PORT of a printer that speaks ZPL; empty is none")
	c.Flags().IntVar(&dpi, "dpi", 0, "its dots an inch: 203, 300 or 600")
	c.Flags().Float64Var(&width, "width", 0, "of its labels, in mm")
	c.Flags().Float64Var(&height, "height", 0, "of its labels, in mm")
	return a.outputFlag(c)
}
