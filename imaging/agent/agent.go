package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"ingot/firmware/efivar"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/preflight"
	"ingot/imaging/wipe"
)

// How long an end stays on the screen.
const (
	doneHold    = 10 * time.Minute // before power-off, or until the cable is pulled
	resetHold   = 5 * time.Second  // before a reset
	refusedHold = 30 * time.Second // for a person to read why a stick starts nothing here
	unplugCheck = time.Second
)

// Agent is one boot of one laptop. All fields are needed; it runs once.
type Agent struct {
	Daemon       Daemon
	Images       Images
	Library      *chunkstore.Client // where captures go
	Machine      Machine
	Drives       Drives
	Personaliser Personaliser
	Firmware     Firmware
	Power        Power
	Screen       Screen
	Token        string       // from the kernel command line; empty when a stick started the laptop: the daemon is asked for one
	Bundle       string       // of a stick: the boot bundle that it was made of
	Say          func(string) // one plain line for the serial console
	Log          zerolog.Logger
	Linger       time.Duration   // how long "done" is shown before a reset; 0 means 5 s
	Second       time.Duration   // of the countdown; 0 means 1 s
	Wiper        Wiper           // nil: this agent wipes nothing
	Thaw         func() error    // sends the machine to sleep and wakes it; nil where it has no such sleep
	WipeClock    wipe.Clock      // of the wiping; nil: the machine's
	Stop         <-chan struct{} // a person at the laptop wants that writing does not begin; never closed; may be nil

	me    identity
	board View // what the screen shows now
}

// identity is what a job must name.
type identity struct {
	key     job.KeyID
	nonce   string
	serial  string
	bios    string       // uefi or bios
	arch    string       // of the firmware; empty when not known
	memory  uint64       // bytes; 0 when not known
	keys    *efivar.Keys // nil: Secure Boot enforces nothing, or keysErr
	keysErr error
	signing ed25519.PublicKey
	drives  []string // internal ones that the server was told of
}

// errLeave ends the loop of orders when the laptop goes back to its own system.
var errLeave = errors.New("nothing to do")

// Run takes the laptop from its first packet to its end: hello, code, job, result, reset. What goes wrong is
// shown and stays on the screen. It returns when Power has ended the boot, or with ctx's cause.
func (a *Agent) Run(ctx context.Context) error {
	err := a.work(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, errLeave) {
		return nil
	}
	a.failed(err, "")
	<-ctx.Done() // a person reads, then switches the laptop off
	return context.Cause(ctx)
}

func (a *Agent) work(ctx context.Context) error {
	a.show(View{Word: job.WordStarting, Colour: Grey, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Sentence: "Looking for the server."})
	if err := a.introduce(ctx); err != nil {
		return err
	}
	for {
		next, err := a.Daemon.Next(ctx)
		if err != nil {
			return err
		}
		if err := a.obey(ctx, next); err != nil {
			return err
		}
	}
}

// introduce says Hello and shows the code.
func (a *Agent) introduce(ctx context.Context) error {
	info, err := a.Daemon.BootInfo(ctx)
	if err != nil {
		return a.oldStick(err)
	}
	if err := a.Machine.Prepare(ctx, info); err != nil {
		return err
	}
	a.show(View{Word: job.WordLooking, Colour: Grey, Bar: -1, Left: -1, SafeTo: UnplugAllowed})
	hello, err := a.Machine.Describe(ctx)
	if err != nil {
		return fmt.Errorf("describe the laptop: %w", err)
	}
	if hello.SecureBoot {
		a.Say("secure boot on")
	}
	if hello.Drives, err = a.Drives.List(); err != nil {
		return fmt.Errorf("list drives: %w", err)
	}
	a.Drives.Examine(hello.Drives)
	hello.Power = a.Machine.Power()
	keys, keysErr := a.Firmware.Keys()
	switch {
	case keysErr != nil:
		a.Log.Warn().Err(keysErr).Msg("the keys of Secure Boot were not read")
		hello.Warnings = append(hello.Warnings, "The keys of Secure Boot cannot be read.")
	case keys != nil:
		hello.Keys = preflight.Summary(*keys)
	}
	if a.Token == "" {
		if err := a.start(ctx, hello); err != nil {
			return err
		}
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return fmt.Errorf("make nonce: %w", err)
	}
	hello.Version, hello.Token, hello.Nonce = job.Version, a.Token, hex.EncodeToString(nonce)
	reply, err := a.Daemon.Hello(ctx, hello)
	if err != nil {
		return err
	}
	if len(reply.SigningKey) != ed25519.PublicKeySize {
		return job.Faultf(job.CodeProtocol, "The server names no signing key.")
	}
	a.me = identity{key: a.Daemon.KeyID(), nonce: hello.Nonce, serial: hello.Facts.Serial, bios: hello.Firmware, arch: hello.Arch, memory: hello.MemoryBytes,
		keys: keys, keysErr: keysErr, signing: reply.SigningKey, drives: internal(hello.Drives)}
	a.Say("hello accepted code " + printable(reply.Code))
	a.waiting(hello, reply)
	return nil
}

// waiting shows the code and what a person needs to recognise the laptop by.
func (a *Agent) waiting(h job.Hello, r job.HelloReply) {
	v := View{Word: job.WordWaiting, Colour: Yellow, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Name: r.Name, Code: r.Code, Sentence: r.Say,
		Lines: []string{fmt.Sprintf("%s %s, serial %s", h.Facts.Manufacturer, h.Facts.Model, h.Facts.Serial)}}
	for _, d := range h.Drives {
		v.Lines = append(v.Lines, fmt.Sprintf("%s  %s  %d GB  serial %s", d.Path, d.Model, d.SizeBytes/1e9, d.Serial), "   health "+d.Health.String())
		if len(d.Holds) > 0 {
			v.Lines = append(v.Lines, "   holds "+strings.Join(d.Holds, "; "))
		}
	}
	v.Lines = append(v.Lines, h.Power.String())
	v.Lines = append(v.Lines, h.Warnings...)
	if len(h.Drives) == 0 {
		w := job.CodeNoDrive.Words()
		v.Sentence, v.Next, v.Fault = w.Sentence, w.Next, job.CodeNoDrive
	}
	a.show(v)
}

// obey carries out one order. It returns errLeave when the boot has ended.
func (a *Agent) obey(ctx context.Context, n job.Next) error {
	switch n.Order {
	case job.Wait:
		v := a.board
		if n.Code != "" && n.Code != v.Code {
			a.Say("code " + printable(n.Code))
		}
		if v.Code = n.Code; v.Fault == "" {
			v.Sentence = n.Say
		}
		a.show(v)
		return nil
	case job.Work:
		return a.carryOut(ctx, n.Job)
	case job.Leave:
		if n.Fault != nil {
			return n.Fault
		}
		return a.leave(ctx, n.Say)
	case job.Off:
		a.Say("switching off")
		a.show(View{Word: "off", Colour: Grey, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Sentence: n.Say})
		return a.end(a.Power.Off())
	}
	return job.Faultf(job.CodeProtocol, "The server ordered something unknown.")
}

// leave gives the laptop back to its own system.
func (a *Agent) leave(ctx context.Context, say string) error {
	a.Say("nothing to do, starting the laptop's own system")
	a.show(View{Word: job.WordNothing, Colour: Grey, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Sentence: say})
	a.toOwnDisk(ctx)
	return a.end(a.Power.Reset())
}

// toOwnDisk lets the next start be that of the laptop's own system, where its firmware has such a thing.
func (a *Agent) toOwnDisk(ctx context.Context) {
	if err := a.Firmware.Local(ctx); err != nil {
		a.Log.Warn().Err(err).Msg("BootNext was not set")
	}
}

// end turns the end of the boot into the end of Run.
func (a *Agent) end(err error) error {
	if err != nil {
		return fmt.Errorf("end the boot: %w", err)
	}
	return errLeave
}

func (a *Agent) show(v View) {
	a.board = v
	a.Screen.Show(v)
}

// failed shows an error in the people's words; the raw cause goes to the log.
func (a *Agent) failed(err error, url string) {
	f := job.FaultOf(err)
	w := f.Code.Words()
	a.Log.Error().Err(err).Str("code", string(f.Code)).Msg("failed")
	a.Say(fmt.Sprintf("failed %s %s", f.Code, printable(w.Sentence+" "+f.Fact)))
	v := View{Word: job.WordFailed, Colour: Red, Name: a.board.Name, Bar: -1, Left: -1, SafeTo: UnplugAllowed, Sentence: w.Sentence, Next: w.Next, Fault: f.Code, QR: url}
	if f.Fact != "" {
		v.Lines = []string{f.Fact}
	}
	a.show(v)
}

// printable keeps a line of the serial console one line of plain text, at most 300 characters.
func printable(s string) string {
	b := make([]byte, 0, min(len(s), 300))
	for i := 0; i < len(s) && len(b) < 300; i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			b = append(b, s[i])
		}
	}
	return string(b)
}
