package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ingot": main})
}

// TestCommandLine runs the scripts of testdata/script against the real program, daemons included.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: map[string]func(*testscript.TestScript, bool, []string){
		"await": await, "mkdisk": makeDisk, "flippacks": flipPacks, "noise": noise, "seed": seedRecords, "seedback": seedBack, "service-folder": serviceFolder,
		"keep": keep, "receive": receive, "awaittext": awaitText,
	}, Condition: func(cond string) (bool, error) {
		if cond == "root" {
			return os.Getuid() == 0, nil
		}
		return false, fmt.Errorf("unknown condition %s", cond)
	}, Setup: func(e *testscript.Env) error {
		for _, name := range []string{"PORT", "PORT2"} {
			port, err := freePort()
			if err != nil {
				return err
			}
			e.Setenv(name, strconv.Itoa(port))
		}
		e.Setenv("DATA", e.WorkDir+"/data")
		return nil
	}})
}

// freePort finds a TCP port that nobody listens on at this moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// await waits until a daemon answers on a socket.
func await(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("unix", path); err == nil {
			ts.Check(c.Close())
			return
		}
	}
	ts.Fatalf("nobody answers on %s after 20 s", path)
}

// keep puts what the last command printed into a variable.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// serviceFolder makes a data folder as "make install" does, owned by another user than root, and puts it into $SHARED.
func serviceFolder(ts *testscript.TestScript, _ bool, _ []string) {
	dir, err := os.MkdirTemp("", "ingot-service-")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o710))
	ts.Check(os.Chown(dir, 65534, 65533))
	ts.Setenv("SHARED", dir)
}

// noise speaks plain HTTP to a port that wants TLS, and waits until it is cut off.
func noise(ts *testscript.TestScript, _ bool, args []string) {
	c, err := net.Dial("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	defer c.Close()
	_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	ts.Check(err)
	ts.Check(c.SetReadDeadline(time.Now().Add(10 * time.Second)))
	_, err = io.Copy(io.Discard, c)
	ts.Check(err)
}

// makeDisk writes a raw disk file of ARG1 bytes with some data in it.
func makeDisk(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	ts.Check(f.Truncate(n))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	_, err = f.WriteAt(b, n/2)
	ts.Check(err)
}

// flipPacks changes one bit in the middle of each file of a folder.
func flipPacks(ts *testscript.TestScript, _ bool, args []string) {
	paths, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		ts.Check(err)
		b[len(b)/2] ^= 1
		ts.Check(os.Chmod(path, 0o600))
		ts.Check(os.WriteFile(path, b, 0o600))
	}
}
