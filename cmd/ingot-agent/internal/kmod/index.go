// Package kmod loads kernel modules as modprobe does, from a folder that depmod's files describe.
//
// The idea: the kernel names a device by a modalias ("pci:v00008086d000015FA..."); modules.alias maps patterns
// of such names to modules; modules.dep lists, for each module, the files that must be in before it; and
// modules.softdep names modules that should be tried before and after it. Index reads these files and decides
// (pure): from a name or a modalias to files in load order. Loader does: it inserts the files, once each.
//
// Dashes and underscores are the same in module names; names are kept here with underscores.
package kmod

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// MaxLine is the longest line, in bytes, of a modules.* file that ReadIndex accepts.
const MaxLine = 64 << 10

// Index is what the modules.* files of one kernel version say. It does not change once it is read.
type Index struct {
	files   map[string]string   // name -> file, relative to the folder
	deps    map[string][]string // name -> names that must be loaded first, in any order
	pre     map[string][]string // soft dependencies: failure is no error
	post    map[string][]string
	builtin map[string]bool
	aliases []alias
}

type alias struct{ pattern, module string }

// ReadIndex reads modules.dep, and modules.alias, modules.softdep and modules.builtin where they are there, from
// a folder like /lib/modules/VERSION.
func ReadIndex(dir fs.FS) (*Index, error) {
	x := &Index{files: map[string]string{}, deps: map[string][]string{}, pre: map[string][]string{}, post: map[string][]string{}, builtin: map[string]bool{}}
	for _, f := range []struct {
		name     string
		optional bool
		line     func(string) error
	}{
		{"modules.dep", false, x.addDep},
		{"modules.alias", true, x.addAlias},
		{"modules.softdep", true, x.addSoftdep},
		{"modules.builtin", true, x.addBuiltin},
	} {
		err := eachLine(dir, f.name, f.line)
		if f.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.name, err)
		}
	}
	return x, nil
}

func eachLine(dir fs.FS, name string, fn func(string) error) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, MaxLine)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := fn(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return sc.Err()
}

// addDep reads "kernel/a/b.ko: kernel/c.ko kernel/d.ko".
func (x *Index) addDep(line string) error {
	file, rest, ok := strings.Cut(line, ":")
	if !ok || !fs.ValidPath(file) {
		return fmt.Errorf("%q is not FILE: FILES", line)
	}
	name := nameOf(file)
	x.files[name] = file
	for _, d := range strings.Fields(rest) {
		x.deps[name] = append(x.deps[name], nameOf(d))
	}
	return nil
}

// addAlias reads "alias PATTERN MODULE".
func (x *Index) addAlias(line string) error {
	w := strings.Fields(line)
	if len(w) != 3 || w[0] != "alias" {
		return fmt.Errorf("%q is not alias PATTERN MODULE", line)
	}
	x.aliases = append(x.aliases, alias{underscore(w[1]), underscore(w[2])})
	return nil
}

// addSoftdep reads "softdep MODULE pre: A B post: C".
func (x *Index) addSoftdep(line string) error {
	w := strings.Fields(line)
	if len(w) < 3 || w[0] != "softdep" {
		return fmt.Errorf("%q is no soft dependency (softdep MODULE pre: ... post: ...)", line)
	}
	name := underscore(w[1])
	var into map[string][]string
	for _, m := range w[2:] {
		switch {
		case m == "pre:":
			into = x.pre
		case m == "post:":
			into = x.post
		case into == nil:
			return fmt.Errorf("%q names a module before \"pre:\" or \"post:\" says when", line)
		default:
			into[name] = append(into[name], underscore(m))
		}
	}
	return nil
}

func (x *Index) addBuiltin(line string) error {
	x.builtin[nameOf(line)] = true
	return nil
}

// nameOf is a module's name from its file: the last element without .ko, .ko.xz or .ko.zst.
func nameOf(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return underscore(base)
}

func underscore(s string) string { return strings.ReplaceAll(s, "-", "_") }

// Len is how many modules the folder holds.
func (x *Index) Len() int { return len(x.files) }

// Match lists the modules whose patterns match a modalias, or an alias like fs-ext4, each once, in file order.
func (x *Index) Match(modalias string) []string {
	modalias = underscore(modalias)
	var out []string
	seen := map[string]bool{}
	for _, a := range x.aliases {
		if !seen[a.module] && glob(a.pattern, modalias) {
			seen[a.module] = true
			out = append(out, a.module)
		}
	}
	return out
}

// Step is one file to insert.
type Step struct {
	Name string
	File string // relative to the folder
	Soft bool   // from a soft dependency: it may fail
}

// Missing says that a module, or one that it needs, is not in the folder.
type Missing struct {
	Module string // asked for
	Needs  string // absent; equal to Module when that itself is absent
}

// Error implements error.
func (m *Missing) Error() string {
	if m.Module == m.Needs {
		return fmt.Sprintf("module %s is not in the boot bundle", m.Module)
	}
	return fmt.Sprintf("module %s needs %s, which is not in the boot bundle", m.Module, m.Needs)
}

// Plan is the order in which files must be inserted to have a module: what it needs first, soft dependencies
// around it. A module that is built in needs no step. A missing hard dependency is *Missing; soft ones that are
// missing are left out.
func (x *Index) Plan(module string) ([]Step, error) {
	p := planner{x: x, state: map[string]int{}}
	if err := p.add(underscore(module), underscore(module), false); err != nil {
		return nil, err
	}
	return p.steps, nil
}

type planner struct {
	x     *Index
	steps []Step
	state map[string]int // 0 unseen, 1 being planned, 2 planned
}

func (p *planner) add(asked, name string, soft bool) error {
	if p.state[name] != 0 || p.x.builtin[name] {
		return nil // planned, built in, or a circle of soft dependencies: one way round is enough
	}
	file, ok := p.x.files[name]
	if !ok {
		return &Missing{Module: asked, Needs: name}
	}
	p.state[name] = 1
	p.soft(p.x.pre[name])
	for _, d := range p.x.deps[name] {
		if err := p.add(asked, d, soft); err != nil {
			return err
		}
	}
	p.steps = append(p.steps, Step{Name: name, File: file, Soft: soft})
	p.state[name] = 2
	p.soft(p.x.post[name])
	return nil
}

// soft plans modules that may be absent. When one cannot be planned whole, its part of the plan is taken back.
func (p *planner) soft(names []string) {
	for _, name := range names {
		kept := len(p.steps)
		if err := p.add(name, name, true); err != nil {
			for _, s := range p.steps[kept:] {
				p.state[s.Name] = 0
			}
			p.steps = p.steps[:kept]
		}
	}
}
