package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ingot/cmd/ingot/internal/doctor"
	"ingot/cmd/ingot/internal/setup"
	"ingot/firmware"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/pxe"
	"ingot/store"
)

// look fills the doctor's facts. It changes nothing, and goes on where it may not look.
func (a *app) look(ctx context.Context) doctor.Facts {
	var f doctor.Facts
	cfg, err := a.loadConfig()
	f.Config = doctor.Config{Path: cmp.Or(a.config, defaultConfig), Mode: string(cmp.Or(cfg.Boot.Mode, pxe.ModeProxy))}
	if _, e := os.Stat(f.Config.Path); e == nil {
		f.Config.There = true
	}
	if err == nil {
		err = cfg.check()
	}
	if err != nil {
		f.Config.Invalid = job.FaultOf(err).Fact
	}
	cfg.Data = cmp.Or(cfg.Data, a.data, defaultData)
	f.Clock.Now = time.Now()
	f.Daemon, f.Bench = lookDaemon(ctx, cfg)
	f.Images = lookImages(ctx, cfg)
	f.Folder, f.Disk = lookFolder(cfg.Data), lookDisk(cfg.Data)
	f.Bundle = lookBundle(filepath.Join(cfg.Data, "boot"))
	f.Keys, f.Pin = lookKeys(ctx, cfg, f.Daemon)
	lookClock(&f.Clock, cfg.Data)
	f.Interfaces = lookInterfaces(ctx, cfg)
	f.Ports = portsOf(cfg)
	doctor.HoldersOf("/proc", f.Ports)
	f.Firewall = lookFirewall(ctx)
	if nics, err := setup.Wired(sysNet); err == nil && len(nics) > 0 {
		f.Wired = nics[0].Name
	}
	return f
}

// lookDaemon asks the daemon about itself; who it is, the kernel says.
func lookDaemon(ctx context.Context, cfg config) (d doctor.Daemon, b doctor.Bench) {
	_, err := os.Stat(systemdRuns)
	d.Systemd = err == nil
	s, err := daemonStatus(ctx, cfg)
	if err != nil {
		d.Denied = job.FaultOf(err).Code == job.CodePolicy
		return d, b
	}
	d.Answers, d.Since, d.Mode, d.Interfaces, d.Pin, d.Pid = s.Serving, s.Since, s.Mode, s.Interfaces, s.Pin, daemonPid(cfg)
	if cl, err := dialDaemon(filepath.Join(cfg.Data, socketName)); err == nil && cl != nil {
		if bench, err := get[store.Bench](ctx, cl, "bench"); err == nil {
			b = doctor.Bench{Known: true, OpenUntil: bench.OpenUntil}
		}
		cl.close()
	}
	return d, b
}

// lookImages asks the daemon how the image store is kept.
func lookImages(ctx context.Context, cfg config) (i doctor.Images) {
	cl, err := dialDaemon(filepath.Join(cfg.Data, socketName))
	if err != nil || cl == nil {
		return i
	}
	defer cl.close()
	k, err := get[store.Keeping](ctx, cl, "images/keeping")
	if err != nil {
		return i
	}
	return doctor.Images{Known: true, Last: k.Scrub.Last, Done: k.Scrub.Done, Total: k.Scrub.Total, Locked: k.Locked}
}

// daemonPid is the process that listens on the socket; 0 when it is not known.
func daemonPid(cfg config) int {
	c, err := net.Dial("unix", filepath.Join(cfg.Data, socketName))
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

func lookFolder(path string) doctor.Folder {
	f := doctor.Folder{Path: path}
	if _, err := user.Lookup(serviceUser); err == nil {
		f.Service = serviceUser
	}
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return f
	}
	if err != nil {
		f.Err = err
		return f
	}
	uid := fi.Sys().(*syscall.Stat_t).Uid
	f.There, f.Mode, f.Owner = true, fi.Mode().Perm(), userOf(uid)
	entries, err := os.ReadDir(path)
	f.Err = err
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != uid {
			f.Others = append(f.Others, e.Name())
		}
	}
	return f
}

func userOf(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// lookDisk measures the room that the folder's owner has.
func lookDisk(path string) doctor.Disk {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	for errors.Is(err, os.ErrNotExist) && path != "/" { // it will lie where its parent lies
		path = filepath.Dir(path)
		err = unix.Statfs(path, &st)
	}
	return doctor.Disk{Free: st.Bavail * uint64(st.Bsize), Size: st.Blocks * uint64(st.Bsize), Err: err}
}

func lookBundle(dir string) doctor.Bundle {
	b, err := firmware.Open(dir)
	switch {
	case errors.Is(err, firmware.ErrNoBundle):
		return doctor.Bundle{}
	case errors.Is(err, os.ErrPermission):
		return doctor.Bundle{Err: err}
	}
	out := doctor.Bundle{There: true}
	for _, p := range firmware.Verify(dir) {
		out.Problems = append(out.Problems, p.String())
	}
	if err != nil {
		if len(out.Problems) == 0 {
			out.Problems = []string{err.Error()}
		}
		return out
	}
	if fi, err := os.Stat(b.Dir()); err == nil {
		out.Built = fi.ModTime()
	}
	return out
}

// lookKeys reads the keys' rights, and holds the agent listener's key against the one that it serves.
func lookKeys(ctx context.Context, cfg config, d doctor.Daemon) (keys []doctor.Key, pin doctor.Pin) {
	for _, name := range []string{"agent.key", "jobs.key", "wipe-certificates.key"} {
		k := doctor.Key{Name: filepath.Join(cfg.Data, "keys", name)}
		fi, err := os.Stat(k.Name)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			k.Err = err
		default:
			k.There, k.Mode = true, fi.Mode().Perm()
		}
		keys = append(keys, k)
	}
	if keys[0].There {
		if l, err := deploy.LoadListener(keys[0].Name); err == nil {
			pin.File = string(l.Pin())
		}
	}
	if d.Answers {
		pin.Served, pin.Err = servedPin(ctx, cfg.Agent.Port)
	}
	return keys, pin
}

func servedPin(ctx context.Context, port int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// The key is what counts, as for the agents; nothing is asked over this connection.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}
	c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", err
	}
	defer c.Close()
	certs := c.(*tls.Conn).ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return "", errors.New("no certificate")
	}
	return string(sign.KeyID(certs[0].RawSubjectPublicKeyInfo)), nil
}

// lookClock finds the newest of our own files, and asks the kernel whether something keeps the clock right.
func lookClock(c *doctor.Clock, data string) {
	self, err := os.Executable()
	if err != nil {
		self = ""
	}
	for _, path := range []string{self, filepath.Join(data, "ingot.db"), filepath.Join(data, "boot", "current")} {
		if fi, err := os.Stat(path); err == nil && fi.ModTime().After(c.Newest) {
			c.Newest, c.What = fi.ModTime(), path
		}
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	c.Synced, c.Err = err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

// probeTime is how long the doctor waits for another DHCP server.
const probeTime = 3 * time.Second

func lookInterfaces(ctx context.Context, cfg config) []doctor.Interface {
	out := make([]doctor.Interface, len(cfg.Boot.Interfaces))
	var wg sync.WaitGroup
	for n, name := range cfg.Boot.Interfaces {
		i := &out[n]
		i.Name = name
		ifc, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		i.There = true
		i.Carrier = ifc.Flags&net.FlagRunning != 0
		if addrs, err := addressesOf(name); err == nil && len(addrs) > 0 {
			i.Net = addrs[0]
			wg.Add(1)
			go func() { // ends within probeTime
				defer wg.Done()
				i.Server, i.ProbeErr = pxe.OtherServer(ctx, name, i.Net.Addr(), cfg.Boot.Ports, probeTime)
			}()
		}
	}
	wg.Wait()
	return out
}

// portsOf lists what the daemon listens on. Without an interface it opens the agents' port and that of the pages only.
func portsOf(cfg config) []doctor.Port {
	p := cfg.Boot.Ports
	out := []doctor.Port{{Proto: "tcp", Number: cmp.Or(cfg.Agent.Port, defaultAgentPort), What: "agents"}}
	if n := cfg.pagesPort(); n > 0 {
		out = append(out, doctor.Port{Proto: "tcp", Number: n, What: "pages"})
	}
	if len(cfg.Boot.Interfaces) == 0 {
		return out
	}
	return append([]doctor.Port{{Proto: "udp", Number: cmp.Or(p.DHCP, 67), What: "DHCP"}, {Proto: "udp", Number: cmp.Or(p.Proxy, 4011), What: "boot server"},
		{Proto: "udp", Number: cmp.Or(p.TFTP, 69), What: "TFTP"}, {Proto: "tcp", Number: cmp.Or(p.HTTP, 80), What: "boot files"}}, out...)
}

// lookFirewall reads the rules of the firewall programs that are installed.
func lookFirewall(ctx context.Context) (f doctor.Firewall) {
	if text, there, err := output(ctx, "nft", "-j", "list", "ruleset"); err != nil {
		f.Err = err
	} else if there && len(text) > 0 {
		set, err := doctor.ParseNft(text)
		f.Err = err
		f.Rulesets = append(f.Rulesets, set)
	}
	if text, there, err := output(ctx, "iptables-save"); err != nil {
		f.Err = err
	} else if there {
		f.Rulesets = append(f.Rulesets, doctor.ParseIptables(string(text)))
	}
	return f
}

// output runs a program if it is there, also where a plain user's PATH does not look.
func output(ctx context.Context, name string, argv ...string) (text []byte, there bool, err error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return nil, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, argv...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	text, err = cmd.Output()
	return text, true, err
}
