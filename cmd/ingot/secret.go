package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// passphraseVar may hold the passphrase of a backup; other programs of this user can read it.
const passphraseVar = "INGOT_PASSPHRASE"

// passphrase finds the passphrase of a backup: in a file, in the environment, or from the person at the terminal, who
// types a new one twice.
func (a *app) passphrase(file string, fresh bool) (string, error) {
	if file != "" {
		return firstLineOf(file)
	}
	if s := os.Getenv(passphraseVar); s != "" {
		return s, nil
	}
	if !a.atTerminal() {
		return "", usage{errors.New("no passphrase: give --passphrase-file FILE, or set " + passphraseVar)}
	}
	typed, err := a.askSecret("Passphrase of the backup: ")
	if err != nil || !fresh {
		return typed, err
	}
	again, err := a.askSecret("The same once more: ")
	if err == nil && again != typed {
		err = usage{errors.New("these are two different passphrases; nothing was done")}
	}
	return typed, err
}

// firstLineOf reads a secret out of a file.
func firstLineOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := readSome(f)
	if err != nil {
		return "", errors.Join(err, job.Faultf(job.CodeFile, "%s holds no line of at most %d bytes.", path, longestLine))
	}
	return line, nil
}

// readSome is the first line of a file, which may lack its end.
func readSome(f *os.File) (string, error) {
	b := make([]byte, longestLine)
	n, err := f.Read(b)
	if n == 0 {
		return "", err
	}
	line, _, ended := strings.Cut(string(b[:n]), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" || !ended && n == len(b) {
		return "", errors.New("no line")
	}
	return line, nil
}

// askSecret reads a line without showing it.
func (a *app) askSecret(question string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok {
		return "", usage{errors.New("no terminal")}
	}
	before, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("ask at the terminal: %w", err)
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &hidden); err != nil {
		return "", fmt.Errorf("ask at the terminal: %w", err)
	}
	fmt.Fprint(a.err, question)
	line, err := a.interruptible()
	fmt.Fprintln(a.err)
	return line, errors.Join(err, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, before))
}

// interruptible reads a line, and stops waiting when the program is told to stop.
func (a *app) interruptible() (string, error) {
	type typed struct {
		line string
		err  error
	}
	got := make(chan typed, 1)
	go func() { // ends with the line, or with the program
		line, err := readLine(a.in)
		got <- typed{line, err}
	}()
	select {
	case t := <-got:
		return t.line, t.err
	case <-a.ctx.Done():
		return "", a.ctx.Err()
	}
}
