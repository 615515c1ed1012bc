package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// CleanRoom is a Debian 12 that nobody has used yet, with one user's shell in it. It shares the bench's network: the
// server's own adapter is its wired one. There is no init: what a user starts runs until the room closes.
type CleanRoom struct {
	Root string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	n    int
}

// enterRoom mounts what a system needs, in namespaces that end with the shell, and becomes the user. The room has a
// /dev of its own, so that nothing in it can touch the host's.
const enterRoom = `set -e
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for d in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    name=${d%%:*}; rest=${d#*:}
    mknod -m 666 "$root/dev/$name" c "${rest%:*}" "${rest#*:}"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
exec chroot "$root" setpriv --reuid="$2" --regid="$2" --init-groups --reset-env sh`

// Debian is an archive, and what a new room has of it. Cache keeps the fresh system for a week, as a tar file.
type Debian struct {
	Mirror   string
	Packages []string
	Cache    string
}

// fresh is how long a system that was made once counts as one that nobody has used yet.
const fresh = 7 * 24 * time.Hour

// unpack makes the system in root.
func (d Debian) unpack(ctx context.Context, root, proxy string) error {
	if fi, err := os.Stat(d.Cache); err == nil && time.Since(fi.ModTime()) < fresh {
		if err := os.MkdirAll(root, 0o755); err != nil {
			return err
		}
		_, err := Command(ctx, "tar", "-C", root, "-xpf", d.Cache)
		return err
	}
	cmd := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+strings.Join(d.Packages, ","), "bookworm", root, d.Mirror)
	cmd.Env = append(os.Environ(), "http_proxy="+proxy, "https_proxy="+proxy)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("debootstrap: %w: %s", err, lastLines(string(out), 5))
	}
	temp := fmt.Sprintf("%s.%d", d.Cache, os.Getpid())
	if _, err := Command(ctx, "tar", "-C", root, "-cpf", temp, "."); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, d.Cache)
}

// NewCleanRoom makes the room in dir, and gives it a user who may use sudo. proxy is where the network is; the user's
// programs and apt know it.
func (b *Bench) NewCleanRoom(ctx context.Context, dir, proxy, user string, d Debian) (*CleanRoom, error) {
	root := filepath.Join(dir, "room")
	if err := d.unpack(ctx, root, proxy); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	for path, text := range map[string]string{
		"etc/apt/sources.list":           fmt.Sprintf("deb %s bookworm main\ndeb %s bookworm-updates main\n", d.Mirror, d.Mirror),
		"etc/apt/apt.conf.d/80proxy":     fmt.Sprintf("Acquire::http::Proxy %q;\nAcquire::https::Proxy %q;\n", proxy, proxy),
		"etc/hosts":                      "127.0.0.1 localhost " + host + "\n",
		"etc/sudoers.d/" + user:          user + " ALL=(ALL) NOPASSWD: ALL\n",
		"home/" + user + "/.profile.lab": fmt.Sprintf("export http_proxy=%s https_proxy=%s\n", proxy, proxy),
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	// The certificates that this host trusts: a site may have one of its own before its mirrors.
	if certs, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err == nil {
		if err := os.WriteFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), certs, 0o644); err != nil {
			return nil, err
		}
	}
	if _, err := Command(ctx, "chroot", root, "useradd", "-M", "-d", "/home/"+user, "-s", "/bin/sh", user); err != nil {
		return nil, err
	}
	if _, err := Command(ctx, "chroot", root, "chown", "-R", user+":", "/home/"+user); err != nil {
		return nil, err
	}
	r := &CleanRoom{Root: root}
	return r, r.enter(user)
}

// enter starts the user's shell in namespaces of its own; they end, with all that runs in them, when it does.
func (r *CleanRoom) enter(user string) (err error) {
	r.cmd = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", enterRoom, "room", r.Root, user)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r.cmd.Stderr = r.cmd.Stdout
	r.out = bufio.NewReader(out)
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("enter the clean room: %w", err)
	}
	_, err = r.Run(fmt.Sprintf("cd; . ./.profile.lab; export PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 TERM=dumb USER=%s", user))
	return err
}

// Run gives the shell one command line and returns all that it printed. An exit code other than 0 is an error.
func (r *CleanRoom) Run(command string) (string, error) {
	r.n++
	mark := fmt.Sprintf("-- end of command %d: ", r.n)
	if _, err := fmt.Fprintf(r.in, "%s\necho \"%s$?\"\n", command, mark); err != nil {
		return "", fmt.Errorf("run %q: %w", command, err)
	}
	var text strings.Builder
	for {
		line, err := r.out.ReadString('\n')
		if err != nil {
			return text.String(), fmt.Errorf("run %q: the shell ended: %s", command, lastLines(text.String(), 10))
		}
		before, code, ended := strings.Cut(line, mark)
		text.WriteString(before)
		switch {
		case !ended:
		case strings.TrimSpace(code) != "0":
			return text.String(), fmt.Errorf("run %q: exit code %s: %s", command, strings.TrimSpace(code), lastLines(text.String(), 15))
		default:
			return text.String(), nil
		}
	}
}

// Close ends the shell and everything in the room.
func (r *CleanRoom) Close() error {
	err := r.in.Close()
	if e := r.cmd.Process.Kill(); e != nil && !errors.Is(e, os.ErrProcessDone) {
		err = errors.Join(err, e)
	}
	r.cmd.Wait() // it was killed
	return err
}
