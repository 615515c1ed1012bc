package firmware

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Problem names one thing that is wrong with a bundle.
type Problem struct {
	File string // its name in the bundle, "" for the bundle itself
	Text string // plain words
}

// String is "FILE: what is wrong".
func (p Problem) String() string {
	if p.File == "" {
		return p.Text
	}
	return p.File + ": " + p.Text
}

// Verify reads every file of the bundle again and names each that is missing, damaged or not part of it. An
// empty list means that the bundle is what its record says.
func (b *Bundle) Verify() []Problem {
	var problems []Problem
	add := func(file, text string, args ...any) {
		problems = append(problems, Problem{File: file, Text: fmt.Sprintf(text, args...)})
	}
	fresh, err := openBundle(b.dir)
	if err != nil {
		add(recordName, "%v", err)
		fresh = b
	}
	known := []string{recordName}
	for _, e := range fresh.record.Files {
		known = append(known, e.Name)
		if err := verifyFile(filepath.Join(b.dir, e.Name), e); errors.Is(err, fs.ErrNotExist) {
			add(e.Name, "is missing")
		} else if err != nil {
			add(e.Name, "%v", err)
		}
	}
	files, err := os.ReadDir(b.dir)
	if err != nil {
		add("", "cannot list the bundle: %v", err)
	}
	for _, f := range files {
		if !slices.Contains(known, f.Name()) {
			add(f.Name(), "does not belong to the bundle")
		}
	}
	return problems
}

func verifyFile(path string, e Entry) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("is not a plain file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return compare(f, st, e)
}

// Verify checks the current bundle of a boot folder, also one too damaged to open.
func Verify(dir string) []Problem {
	b, err := Open(dir)
	if err != nil {
		return []Problem{{Text: err.Error()}}
	}
	return b.Verify()
}
