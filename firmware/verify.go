package firmware

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Problem names one thing that is wrong with a bundle.
type Problem struct {
	File string // its name in the bundle, "" for the bundle itself
	Text string // plain words; empty when Err says it
	Err  error  // what the system or the record's reader said
}

// String is "FILE: what is wrong".
func (p Problem) String() string {
	text := p.Text
	if p.Err != nil {
		text = strings.TrimPrefix(text+": "+p.Err.Error(), ": ")
	}
	if p.File == "" {
		return text
	}
	return p.File + ": " + text
}

// Verify reads every file of the bundle again and names each that is missing, damaged or not part of it. An
// empty list means that the bundle is what its record says.
func (b *Bundle) Verify() []Problem {
	var problems []Problem
	add := func(file, text string) { problems = append(problems, Problem{File: file, Text: text}) }
	fresh, err := openBundle(b.dir)
	if err != nil {
		problems = append(problems, Problem{File: recordName, Err: err})
		fresh = b
	}
	known := []string{recordName}
	for _, e := range fresh.record.Files {
		known = append(known, e.Name)
		if err := verifyFile(filepath.Join(b.dir, e.Name), e); errors.Is(err, fs.ErrNotExist) {
			add(e.Name, "is missing")
		} else if err != nil {
			problems = append(problems, Problem{File: e.Name, Err: err})
		}
	}
	files, err := os.ReadDir(b.dir)
	if err != nil {
		problems = append(problems, Problem{Text: "cannot list the bundle", Err: err})
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
		return []Problem{{Err: err}}
	}
	return b.Verify()
}
