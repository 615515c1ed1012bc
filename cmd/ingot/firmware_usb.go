package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/firmware"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/pxe"
	"ingot/store"
)

// stickMade is the outcome of "firmware usb".
type stickMade struct {
	Target string   `json:"target"`
	Serial string   `json:"serial,omitempty"`
	Bytes  int64    `json:"bytes"` // of the medium; the files, the tables and everything between were read back
	Bundle string   `json:"bundle"`
	URLs   []string `json:"urls"`
	Pin    string   `json:"pin"`
}

func (a *app) firmwareUSB() *cobra.Command {
	var urls []string
	var agree consent
	c := &cobra.Command{Use: "usb FILE|/dev/sdX", Short: "Write a boot stick: the way in for laptops that cannot boot from the network",
		Example: "ingot firmware usb stick.img --url https://192.168.10.5:8443\ningot firmware usb /dev/sdb --url https://192.168.10.5:8443\n" +
			"ingot firmware usb /dev/sdb --url https://192.168.10.5:8443 --serial 4C530001 --yes",
		Long: "The stick holds the same signed boot media that the network gives, for UEFI with Secure Boot on, and the drivers of every wired network\n" +
			"adapter that the kernel knows. It names this server by address and by the pin of its key, and no laptop: the bench must be open, or the\n" +
			"laptop known and ordered for, as always. A file must not exist yet. A device is written only when it is removable, not in use, and\n" +
			"named with its serial: typed at a terminal, or by --serial together with --yes. Everything is read back.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error { return a.makeStick(c.Context(), given[0], urls, agree) }}
	c.Flags().StringArrayVar(&urls, "url", nil, "where the laptops find the server, https://ADDRESS[:PORT]; may be repeated, tried in turn (default: the configured address)")
	c.Flags().StringVar(&agree.serial, "serial", "", "the serial of the device")
	yesFlag(c, &agree.yes, "write to a device without asking; needs --serial")
	return a.outputFlag(c)
}

// makeStick decides what goes where, then writes it.
func (a *app) makeStick(ctx context.Context, target string, urls []string, agree consent) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	servers, err := stickServers(cfg, urls)
	if err != nil {
		return err
	}
	device, err := isDevice(target)
	if err != nil {
		return err
	}
	pin, err := agentPin(cfg.Data)
	if err != nil {
		return err
	}
	b, err := firmware.Open(filepath.Join(cfg.Data, "boot"))
	if err != nil {
		return job.Faultf(job.CodeBundle, "%s.", job.Reason(err))
	}
	grub, err := pxe.StickConfig(servers, pin, b.Name())
	if err != nil {
		return err
	}
	stick, err := b.Stick(grub)
	if err != nil {
		return job.Faultf(job.CodeBundle, "%s.", job.Reason(err))
	}
	made := stickMade{Target: target, Bundle: b.Name(), Pin: pin}
	for _, s := range servers {
		made.URLs = append(made.URLs, "https://"+s.String())
	}
	if device {
		err = a.stickOnDevice(ctx, realPort, stick, &made, agree)
	} else {
		err = a.stickInFile(ctx, stick, &made)
	}
	if err != nil {
		return err
	}
	return a.tell(made, target, a.sayf("%s is written and proven: %s. Laptops that start from it look for %s.", target, size(uint64(made.Bytes)), strings.Join(made.URLs, ", then ")))
}

// stickServers reads the addresses that the stick names.
func stickServers(cfg config, urls []string) (out []netip.AddrPort, err error) {
	if len(urls) == 0 {
		ip, err := netip.ParseAddr(advertised(cfg))
		if err != nil || !ip.Is4() || ip.IsLoopback() {
			return nil, usage{job.Faultf(job.CodeBadRequest, "Say where the laptops find this server: --url https://ADDRESS:%d.", cfg.Agent.Port)}
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(cfg.Agent.Port))}, nil
	}
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return nil, usage{job.Faultf(job.CodeBadRequest, "--url %.80q is not https://ADDRESS[:PORT].", s)}
		}
		ip, err := netip.ParseAddr(u.Hostname())
		port := uint64(cfg.Agent.Port)
		if err == nil && u.Port() != "" {
			port, err = strconv.ParseUint(u.Port(), 10, 16)
		}
		if err != nil || !ip.Is4() || port == 0 {
			return nil, usage{job.Faultf(job.CodeBadRequest, "--url %.80q: a stick asks no name server, so it needs an IPv4 address.", s)}
		}
		out = append(out, netip.AddrPortFrom(ip, uint16(port)))
	}
	if len(out) > 8 {
		return nil, usage{job.Faultf(job.CodeBadRequest, "A stick names at most 8 addresses.")}
	}
	return out, nil
}

// agentPin reads the pin of the key that the daemon's agent listener has. A key is never made here: it would be
// another one than the daemon's.
func agentPin(data string) (string, error) {
	file := filepath.Join(data, "keys", "agent.key")
	_, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", job.Faultf(job.CodeDaemon, "The server has no key yet: start the daemon once, then write the stick.")
	case errors.Is(err, os.ErrPermission):
		return "", job.Faultf(job.CodePolicy, "You may not read %s: try sudo.", file)
	}
	l, err := deploy.LoadListener(file)
	if errors.Is(err, os.ErrPermission) {
		return "", job.Faultf(job.CodePolicy, "You may not read %s: try sudo.", file)
	}
	if err != nil {
		return "", fmt.Errorf("read the server's key: %w", err)
	}
	return string(l.Pin()), nil
}

// stickOnDevice asks, takes the device and writes it.
func (a *app) stickOnDevice(ctx context.Context, port stickPort, s *firmware.Stick, made *stickMade, agree consent) error {
	d, err := port.look(made.Target, s.Size())
	if err != nil {
		return err
	}
	if agree.serial != "" && !sameSerial(agree.serial, d.Serial) {
		return job.Faultf(job.CodeStickTarget, "%s has the serial %s, not %s.", made.Target, d.Serial, agree.serial)
	}
	if err := a.confirm(destruction{name: stickName(made.Target, d), serial: d.Serial, what: "Everything on it is lost."}, agree); err != nil {
		return err
	}
	f, err := port.open(made.Target, d)
	if err != nil {
		return err
	}
	defer f.Close() // it was flushed
	made.Serial, made.Bytes = d.Serial, f.size
	return stickWords(made.Target, s.Write(ctx, f, f.size, a.stickTeller()))
}

// stickInFile writes a disk file, which has its name only when it is proven.
func (a *app) stickInFile(ctx context.Context, s *firmware.Stick, made *stickMade) error {
	f, err := library.NewFile(made.Target)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after it was named there is nothing left to remove
	defer f.Close()
	if err := f.Truncate(s.Size()); err != nil {
		return job.Faultf(job.CodeFull, "%s cannot be made.", made.Target)
	}
	made.Bytes = s.Size()
	if err := stickWords(made.Target, s.Write(ctx, &stickFile{File: f, size: s.Size()}, s.Size(), a.stickTeller())); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("make stick: %w", err)
	}
	return library.NameNew(f.Name(), made.Target)
}

// stickWords puts what went wrong while writing into words.
func stickWords(target string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return errors.Join(err, job.Faultf(job.CodeStickData, "It was stopped; %s starts nothing now.", target))
	case errors.Is(err, firmware.ErrReadBack):
		return errors.Join(err, job.Faultf(job.CodeStickData, "%s gave back other data than was written.", target))
	}
	return errors.Join(err, job.Faultf(job.CodeStickData, "%s took or gave no data.", target))
}

// stickTeller prints how far it is, with the rate, on stderr.
func (a *app) stickTeller() func(what string, done, total int64) {
	tell := a.teller()
	phase, start := "", time.Now()
	return func(what string, done, total int64) {
		if what != phase {
			phase, start = what, time.Now()
		}
		if s := time.Since(start).Seconds(); s > 0.5 { // before that a rate means nothing
			rate := max(1, float64(done)/s)
			tell(store.Work{Phase: what, DoneBytes: uint64(done), TotalBytes: uint64(total), BytesPerSec: uint64(rate), SecondsLeft: int(float64(total-done) / rate)})
		}
	}
}
