package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ingot/firmware"
	"ingot/imaging/job"
)

// firmwareCommand works on the folder DATA/boot: it needs no daemon and disturbs none that runs. The records are asked
// only for what still refers to an old bundle.
func (a *app) firmwareCommand() *cobra.Command {
	return group("firmware", "The boot bundle: what a bare laptop runs", a.firmwareBuild(), a.firmwareUpdate(), a.firmwareList(), a.firmwareVerify(), a.firmwareShow(), a.firmwareUSB())
}

// bundleSource is what the flags of build and update say.
type bundleSource struct{ debs, agent string }

func (s *bundleSource) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.debs, "debs", "", "build offline from this folder of .deb files")
	c.Flags().StringVar(&s.agent, "agent", "", "the agent's program (default ingot-agent beside this program)")
}

// bundleOptions finds where and of what a bundle is built.
func (a *app) bundleOptions(s bundleSource) (o firmware.Options, err error) {
	o = firmware.Options{Debs: s.debs, Agent: s.agent, Log: a.stepLog(), InUse: a.bundlesInUse}
	if o.Dir, err = a.bootDir(); err != nil {
		return o, err
	}
	if err := a.asOwner(filepath.Dir(o.Dir)); err != nil {
		return o, err
	}
	if o.Agent == "" {
		o.Agent, err = besideProgram("ingot-agent")
	}
	return o, err
}

func (a *app) firmwareBuild() *cobra.Command {
	var source bundleSource
	c := &cobra.Command{Use: "build", Short: "Build the boot bundle from the distribution's packages",
		Example: "ingot firmware build\ningot firmware build --debs /srv/debs",
		Long: "The packages are downloaded with this host's apt (or taken from --debs) and unpacked in the data folder; nothing is installed.\n" +
			"Equal packages and an equal agent give an equal bundle. A running daemon serves the new bundle from the next start of a laptop on.",
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := a.bundleOptions(source)
			if err != nil {
				return err
			}
			b, err := firmware.Build(c.Context(), o)
			if err != nil {
				return job.Faultf(job.CodeBundleBuild, "%s.", strings.TrimPrefix(job.Reason(err), "build boot bundle: "))
			}
			return a.showBundle(b)
		}}
	source.flags(c)
	return a.outputFlag(c)
}

func (a *app) firmwareVerify() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "verify", Short: "Read the boot bundle again and name what is wrong; exit code 3 when something is",
		Example: "ingot firmware verify", Args: args(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
			dir, err := a.bootDir()
			if err != nil {
				return err
			}
			if _, err := firmware.Open(dir); errors.Is(err, firmware.ErrNoBundle) {
				return job.Faultf(job.CodeBundle, "There is none yet.")
			}
			problems := firmware.Verify(dir)
			if len(problems) == 0 {
				return a.tell([]string{}, "", a.sayf("boot bundle: every file is as built"))
			}
			if err := a.tellProblems(problems); err != nil {
				return err
			}
			return partly{job.Faultf(job.CodeBundle, "Wrong: %d.", len(problems))}
		}})
}

func (a *app) tellProblems(problems []firmware.Problem) error {
	var lines []string
	for _, p := range problems {
		lines = append(lines, printable(problemWords(p)))
	}
	return show(a, lines, func(s string) string { return s }, column[string]{head: "PROBLEM", cell: func(s string) string { return s }})
}

// problemWords is a problem of the bundle as a person reads it.
func problemWords(p firmware.Problem) string {
	var words []string
	for _, s := range []string{p.File, p.Text, job.Reason(p.Err)} {
		if s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, ": ")
}

func (a *app) firmwareShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show", Short: "Show what the boot bundle is made of (-o json: every file with package, version and digest)",
		Example: "ingot firmware show -o wide", Args: args(cobra.NoArgs), RunE: func(*cobra.Command, []string) error {
			dir, err := a.bootDir()
			if err != nil {
				return err
			}
			b, err := firmware.Open(dir)
			if err != nil {
				return job.Faultf(job.CodeBundle, "%s.", job.Reason(err))
			}
			return a.showBundle(b)
		}})
}

// bootDir is the boot folder of the configured data folder.
func (a *app) bootDir() (string, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return "", err
	}
	return filepath.Join(cfg.Data, "boot"), nil
}

// besideProgram finds a program in the folder of this one.
func besideProgram(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return filepath.Join(filepath.Dir(self), name), nil
}

// stepLog tells the steps of a long command on stderr, without times.
func (a *app) stepLog() zerolog.Logger {
	if a.quiet {
		return zerolog.Nop()
	}
	return zerolog.New(zerolog.ConsoleWriter{Out: a.err, NoColor: true, PartsOrder: []string{zerolog.MessageFieldName}})
}

func (a *app) showBundle(b *firmware.Bundle) error {
	r := b.Record()
	if a.output == "json" {
		return a.json(r)
	}
	if n := len(r.MissingFirmware); n > 0 && a.output != "name" {
		fmt.Fprintf(a.err, "%d firmware files that network adapters may ask for are in no package given (%s, ...); most adapters work without.\n", n, r.MissingFirmware[0])
	}
	type col = column[firmware.Entry]
	return show(a, r.Files, func(e firmware.Entry) string { return e.Name },
		col{head: "FILE", cell: func(e firmware.Entry) string { return e.Name }},
		col{head: "BYTES", cell: func(e firmware.Entry) string { return fmt.Sprint(e.Size) }},
		col{head: "PACKAGE", cell: func(e firmware.Entry) string { return e.Package }},
		col{head: "VERSION", cell: func(e firmware.Entry) string { return e.Source.Version }},
		col{head: "SHA-256", wide: true, cell: func(e firmware.Entry) string { return e.SHA256 }})
}
