package lab

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestTheConsoleIsPlainText(t *testing.T) {
	cases := []struct {
		name   string
		chunks []string
		want   string
	}{
		{"plain lines stay", []string{"ingot: done\n"}, "ingot: done\n"},
		{"colours and cursor moves vanish", []string{"\x1b[2J\x1b[01;01H\x1b[0m\x1b[37mBdsDxe\x1b[=3h: ok\r\n"}, "BdsDxe: ok\n"},
		{"an escape cut in two vanishes too", []string{"a\x1b[3", "7mb"}, "ab"},
		{"an escape cut after its first byte vanishes too", []string{"a\x1b", "[0mb"}, "ab"},
		{"a terminal title vanishes", []string{"x\x1b]0;title\x07y"}, "xy"},
		{"a stray escape does not swallow what follows", []string{"x\x1b!" + strings.Repeat("z", 80)}, "x\x1b!" + strings.Repeat("z", 80)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			con := newConsole(nil, nil)
			for _, chunk := range c.chunks {
				if _, err := con.Write([]byte(chunk)); err != nil {
					t.Fatal(err)
				}
			}
			if got := con.Text(); got != c.want {
				t.Errorf("Text() = %q; want %q", got, c.want)
			}
		})
	}
}

func TestWaitingForTheConsole(t *testing.T) {
	con := newConsole(nil, nil)
	go func() {
		for _, s := range []string{"boot\nsl-0001 lo", "gin: "} {
			con.Write([]byte(s)) // the writer of a test console cannot fail
		}
	}()
	m, err := con.WaitAfter(t.Context(), 0, regexp.MustCompile(`(?m)^(\S+) login: `))
	if err != nil || m[1] != "sl-0001" {
		t.Fatalf("WaitAfter = %v, %v; want sl-0001", m, err)
	}
	mark := con.Mark()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := con.WaitAfter(ctx, mark, regexp.MustCompile("login")); !errors.Is(err, context.Canceled) {
		t.Errorf("text before the mark was matched again: %v", err)
	}
	con.Close()
	if err := con.WaitFor(t.Context(), "never"); err == nil || !strings.Contains(err.Error(), "went off") {
		t.Errorf("WaitFor on a closed console = %v; want that the laptop went off", err)
	}
}
