// Ingot turns a bench, a switch and a stack of laptops into finished devices.
//
//	ingot setup                       configuration, data folder, boot bundle, service
//	ingot doctor                      what keeps laptops from being imaged, and what to do
//	ingot config show | check
//	ingot daemon                      answer the laptops and keep the record
//	ingot firmware build | verify     the boot bundle, from the distribution's packages
//	ingot image import FILE --image NAME --label L --note "..."
//	ingot image list | show | export | check
//	ingot image release | retire | withdraw | rollback | delete | history | devices | cadence
//	ingot image export NAME --bundle FILE | import --bundle FILE | push | pull | keys
//	ingot peer allow | add | list | remove
//	ingot operator add | list | set | disable | recover | policy
//	ingot token add | list | remove
//	ingot push status | register | webhook | secret | test | retry | remove | csv
//	ingot gc [--dry-run]              remove from the image store what nothing needs
//	ingot check [--read-data | --read-data-subset 10%]
//	ingot backup FILE [--packs] | restore FILE
//	ingot device list | show | adopt | settle | set | import | drives | destroyed | ready | dispose
//	ingot role add | list
//	ingot deploy DEVICE... --image NAME[@VERSION] | --role R [--name N]
//	ingot capture DEVICE --image NAME --label L --note "..." | --backup [--keep 90d]
//	ingot wipe DEVICE... [--dispose | --then-image NAME] | agree | policy
//	ingot cert list | show | verify | export | key | check
//	ingot job list | show | watch | cancel
//	ingot boot log [MAC]
//	ingot bench open | close | show
//	ingot auto-deploy on | off | show
//	ingot report holders | received | stale | licences | failures | days
//	ingot licence list | set | remove | import | rules | map | unmap
//	ingot receipt show | verify
//	ingot audit [SUBJECT] | verify [--against RECEIPT...]
//	ingot label print | file | show | set
//	ingot version | completion SHELL | man FOLDER
//
// Every command but daemon speaks the JSON API: over DATA/ingot.sock when a daemon runs on the data folder,
// else in its own process over the same handler; with --server to a daemon on the network (remote.go). Data goes to stdout, progress and words to stderr. Acts that destroy
// ask for the laptop's serial (consent.go). Root works in a data folder as its owner (owner.go).
//
// Exit codes: 0 done, 1 failed, 2 not understood, 3 done in part, or damage or a warning found. With
// INGOT_DEBUG=1 the raw text behind a failure follows its words.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

// version is set by the build (-ldflags -X main.version=...).
var version = "development"

func main() { os.Exit(mainCode()) }

// mainCode is main with its exit code returned, so that tests can run it as a command.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// app is one run of the command line: its streams and the flags that every command has.
type app struct {
	ctx      context.Context // of the whole run
	out, err io.Writer
	in       io.Reader
	config   string // path of the configuration file
	data     string // data folder; overrides the file's
	output   string // table, wide, json or name
	quiet    bool   // no progress
	revision uint64 // of the device as the person saw it; 0: as this command finds it

	server, tokenFile, fingerprint string // of a server on the network; see remote.go
}

// partly is the error of a command that did only a part, or that found damage: exit code 3.
type partly struct{ error }

func (p partly) Unwrap() error { return p.error }

// usage is the error of a command line that was not understood: exit code 2.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// told is the error of a command that did its work and found what a person must mend: it has said what. Exit code 1.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

// run is the whole program but the process.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{ctx: ctx, out: out, err: errs, in: in}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(errs, "ingot: "+words(err))
	if os.Getenv("INGOT_DEBUG") != "" {
		fmt.Fprintln(errs, rawText(err))
	}
	return exitCode(err)
}

// rawText is what stands behind a failure, for whoever asked for it.
func rawText(err error) string { return fmt.Sprintf("debug: %+q", err.Error()) }

// words is an error as a person reads it: a Fault's words, or what we say ourselves of a command line or of a part that
// was done. What a system or a library says is put into words of the table.
func words(err error) string {
	var f *job.Fault
	var u usage
	var p partly
	var t told
	switch {
	case errors.As(err, &f):
		return f.Error()
	case errors.As(err, &u), errors.As(err, &p), errors.As(err, &t):
		return job.Reason(err)
	}
	return job.FaultOf(err).Error()
}

func exitCode(err error) int {
	var p partly
	var u usage
	var f *job.Fault
	switch {
	case errors.As(err, &p):
		return 3
	case errors.As(err, &u), errors.As(err, &f) && f.Code == job.CodeBadRequest:
		return 2
	}
	return 1
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "ingot", Short: "Network boot, imaging and records for a helpdesk's laptops",
		SilenceUsage: true, SilenceErrors: true, Version: version,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("unknown command %q; see \"ingot --help\"", args[0])}
			}
			return c.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration file (default /etc/ingot/ingot.toml when it is there)")
	root.PersistentFlags().StringVar(&a.data, "data", "", "data folder (default /var/lib/ingot)")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "no progress on stderr")
	a.remoteFlags(root)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err := a.checkServer(c); err != nil {
			return err
		}
		return a.checkOutput(c)
	}
	root.CompletionOptions.DisableDefaultCmd = true // completion.go has ours
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage{flagError(c, err)} })
	root.AddCommand(a.daemonCommand(), a.firmwareCommand(), a.imageCommand(), a.peerCommand(), a.pushCommand(), a.deviceCommand(), a.roleCommand(), a.deployCommand(), a.captureCommand(), a.wipeCommand(), a.certCommand(),
		a.jobCommand(), a.bootCommand(), a.benchCommand(), a.autoDeployCommand(), a.auditCommand(), a.versionCommand(),
		a.operatorCommand(), a.tokenCommand(),
		a.reportCommand(), a.licenceCommand(), a.receiptCommand(), a.labelCommand(),
		a.gcCommand(), a.checkCommand("ingot check"), a.backupCommand(), a.restoreCommand(), a.setupCommand(), a.doctorCommand(), a.configCommand(), a.completionCommand(), a.manCommand())
	return root
}

// flagError says what is wrong with a flag, without the words of the parser behind it.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	if head, _, ok := strings.Cut(text, " flag: "); ok && strings.HasPrefix(text, "invalid argument") {
		text = head
	}
	return fmt.Errorf("%s; see \"%s --help\"", text, c.CommandPath())
}

// group makes a noun whose verbs are its subcommands; a verb that is not there is a usage error.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage{fmt.Errorf("unknown command %q; see \"%s --help\"", args[0], c.CommandPath())}
		}
		return c.Help()
	}}
	c.AddCommand(verbs...)
	return c
}

// args wraps a cobra check of arguments so that it ends in exit code 2, and says how the command is given.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if err := check(c, given); err != nil {
			return usage{fmt.Errorf("give it as: %s; see \"%s --help\"", strings.TrimSuffix(c.UseLine(), " [flags]"), c.CommandPath())}
		}
		return nil
	}
}

// versions is what a version is made of.
type versions struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol"` // between agent and daemon
	Schema   int    `json:"schema"`   // of the database
	Go       string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "version", Short: "Print the version", Example: "ingot version -o json", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := versions{Version: version, Protocol: job.Version, Schema: store.Schema, Go: runtime.Version()}
			return a.tell(v, v.Version, a.sayf("ingot %s, agent protocol %d, database schema %d", v.Version, v.Protocol, v.Schema))
		}})
}
