package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// manager is the service manager that started us (sd_notify(3)); nil when none did, and then nothing is told.
type manager struct {
	conn  net.Conn
	every time.Duration // within which it wants to hear that we live; 0: never
}

// findManager looks for the socket that systemd names in the environment.
func findManager() *manager {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil
	}
	m := &manager{conn: conn}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.every = time.Duration(usec) * time.Microsecond
	}
	return m
}

// tell sends a state, such as READY=1. A manager that does not listen does not stop us.
func (m *manager) tell(lines ...string) {
	if m != nil {
		_, _ = m.conn.Write([]byte(strings.Join(lines, "\n"))) // see above
	}
}

// status is what "systemctl status" shows of us.
func (m *manager) status(words string) { m.tell("STATUS=" + words) }

// starting asks for more time while the daemon is opening its data, until done is called.
func (m *manager) starting() (done func()) {
	if m == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with cancel
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.tell("EXTEND_TIMEOUT_USEC=60000000")
			}
		}
	}()
	return cancel
}

// watchdog tells the manager that we live as long as check says so, twice in the time that it allows. A daemon that
// does not answer itself is silent: the manager starts it again, and the log says why.
func (m *manager) watchdog(log zerolog.Logger, check func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if m == nil || m.every == 0 {
			<-ctx.Done()
			return nil
		}
		tick := time.NewTicker(m.every / 2)
		defer tick.Stop()
		for {
			if err := within(ctx, m.every/3, check); ctx.Err() == nil && err != nil {
				log.Error().Err(err).Msg("the daemon does not answer itself; if that stays, the service manager starts it again")
			} else {
				m.tell("WATCHDOG=1")
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}

// within runs a check that may hang.
func within(ctx context.Context, d time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- check(ctx) }() // one that hangs for ever is why the daemon is about to be killed
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", d)
	}
}

// intoJournal reports whether w is the journal's own stream: it stamps the lines itself.
func intoJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journal writes lines as the journal wants them: no time, and the priority in front (sd-daemon(3)).
type journal struct{ io.Writer }

// WriteLevel implements zerolog.LevelWriter.
func (j journal) WriteLevel(l zerolog.Level, p []byte) (int, error) {
	var line bytes.Buffer
	fmt.Fprintf(&line, "<%d>", priority(l))
	w := zerolog.ConsoleWriter{Out: &line, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName}}
	if _, err := w.Write(p); err != nil {
		return 0, err
	}
	if _, err := j.Write(line.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// priority is syslog's number of a level.
func priority(l zerolog.Level) int {
	switch {
	case l <= zerolog.DebugLevel:
		return 7
	case l == zerolog.InfoLevel, l == zerolog.NoLevel:
		return 6
	case l == zerolog.WarnLevel:
		return 4
	case l == zerolog.ErrorLevel:
		return 3
	}
	return 2
}
