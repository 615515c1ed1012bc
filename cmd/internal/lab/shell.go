package lab

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Shell is root's shell in a laptop's own system, on its serial console.
type Shell struct {
	run *Run
	n   int
}

// WaitLogin waits for a login prompt behind mark and returns the host name that it shows.
func (r *Run) WaitLogin(ctx context.Context, mark int) (string, error) {
	m, err := r.Console.WaitAfter(ctx, mark, regexp.MustCompile(`(?m)(\S+) login: $`))
	if err != nil {
		return "", err
	}
	return m[1], nil
}

// Login logs root in at the prompt that the console shows now.
func (r *Run) Login(ctx context.Context, password string) (*Shell, error) {
	mark := r.Console.Mark()
	if err := r.Console.Send("root\n"); err != nil {
		return nil, err
	}
	if _, err := r.Console.WaitAfter(ctx, mark, regexp.MustCompile("Password: ")); err != nil {
		return nil, err
	}
	if err := r.Console.Send(password + "\n"); err != nil {
		return nil, err
	}
	if _, err := r.Console.WaitAfter(ctx, mark, regexp.MustCompile(`(?m)# $`)); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	s := &Shell{run: r}
	// Without echo, colours and line editing the answers are clean.
	_, err := s.Run(ctx, "stty -echo; export TERM=dumb PAGER=cat SYSTEMD_COLORS=0; PS1=; PS2=; bind 'set enable-bracketed-paste off' 2>/dev/null; stty cols 500; true")
	return s, err
}

// Run runs a command line and returns what it printed. An exit code other than 0 is an error.
func (s *Shell) Run(ctx context.Context, command string) (string, error) {
	s.n++
	mark := s.run.Console.Mark()
	// The quotes keep the echoed command line from looking like the answer.
	line := fmt.Sprintf("echo BE''GIN%d; { %s\n}; echo EN''D%d=$?=\n", s.n, command, s.n)
	if err := s.run.Console.Send(line); err != nil {
		return "", err
	}
	m, err := s.run.Console.WaitAfter(ctx, mark, regexp.MustCompile(fmt.Sprintf(`(?s)BEGIN%d\n(.*?)END%d=(\d+)=`, s.n, s.n)))
	if err != nil {
		return "", fmt.Errorf("run %q in %s: %w", command, s.run.laptop.Name, err)
	}
	out := strings.TrimSpace(m[1])
	if code, _ := strconv.Atoi(m[2]); code != 0 {
		return out, fmt.Errorf("run %q in %s: exit code %d: %s", command, s.run.laptop.Name, code, out)
	}
	return out, nil
}
