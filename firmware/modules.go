package firmware

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// moduleIndex knows all modules of one kernel, so that a few can be chosen with everything they need.
type moduleIndex struct {
	byName  map[string]module
	byAlias map[string][]string // plain aliases only; softdeps use no patterns
	builtin map[string]bool
	list    []byte // modules.builtin as shipped
}

// indexModules reads every module of the unpacked kernel package and its modules.builtin.
func indexModules(t *tree, version string) (*moduleIndex, error) {
	base := "lib/modules/" + version + "/"
	idx := &moduleIndex{byName: map[string]module{}, byAlias: map[string][]string{}, builtin: map[string]bool{}}
	for _, p := range t.under(base) {
		if _, ok := moduleName(p); !ok {
			continue
		}
		raw, err := t.read(p)
		if err != nil {
			return nil, err
		}
		m, err := parseModule(strings.TrimPrefix(p, base), raw)
		if err != nil {
			return nil, err
		}
		if twin, twice := idx.byName[m.name]; twice {
			return nil, fmt.Errorf("module %s stands at %s and at %s", m.name, twin.path, m.path)
		}
		idx.byName[m.name] = m
		for _, a := range m.aliases {
			idx.byAlias[a] = append(idx.byAlias[a], m.name)
		}
	}
	if len(idx.byName) == 0 {
		return nil, fmt.Errorf("the kernel package holds no module under %s", base)
	}
	var err error
	if idx.list, err = t.read(base + "modules.builtin"); err != nil {
		return nil, fmt.Errorf("the kernel package: %w", err)
	}
	for _, line := range strings.Fields(string(idx.list)) {
		if name, ok := moduleName(line); ok {
			idx.builtin[name] = true
		}
	}
	return idx, nil
}

// closure gives the names of the wanted modules and of all that they need: depends is obeyed, and what a soft
// dependency names is taken where the kernel has it. A wanted module that is built in needs nothing. A name
// that starts with "?" may be absent.
func (x *moduleIndex) closure(wanted []string) ([]string, error) {
	chosen := map[string]bool{}
	var add func(name, why string) error
	add = func(name, why string) error {
		if chosen[name] || x.builtin[name] {
			return nil
		}
		m, ok := x.byName[name]
		if !ok {
			return fmt.Errorf("the kernel package has no module %s (%s)", name, why)
		}
		chosen[name] = true
		for _, d := range m.depends {
			if err := add(d, "needed by "+name); err != nil {
				return err
			}
		}
		for _, d := range x.soft(m) {
			if err := add(d, "wished by "+name); err != nil {
				return err
			}
		}
		return nil
	}
	for _, w := range wanted {
		name, optional := strings.CutPrefix(w, "?")
		if _, ok := x.byName[name]; !ok && optional {
			continue
		}
		if err := add(name, "wanted in the boot bundle"); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// inFolders gives the names of all modules below the folders but those below skip, sorted.
func (x *moduleIndex) inFolders(folders, skip []string) []string {
	below := func(file string, dirs []string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(file, d) })
	}
	var out []string
	for name, m := range x.byName {
		if below(m.path, folders) && !below(m.path, skip) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// soft gives the modules behind a module's soft dependencies: a name, or an alias that several may carry.
func (x *moduleIndex) soft(m module) []string {
	var out []string
	for _, line := range m.softdeps {
		for _, word := range strings.Fields(line) {
			if strings.HasSuffix(word, ":") {
				continue
			}
			if name := underscored(word); x.byName[name].name != "" {
				out = append(out, name)
			} else {
				out = append(out, x.byAlias[word]...)
			}
		}
	}
	return out
}

// depsOf lists all that a module needs, itself not, in the order of modules.dep: who loads them walks from the
// end to the start.
func (x *moduleIndex) depsOf(name string) []string {
	seen := map[string]bool{}
	var load []string // in loading order
	var visit func(n string)
	visit = func(n string) {
		if seen[n] || x.byName[n].name == "" {
			return
		}
		seen[n] = true
		for _, d := range x.byName[n].depends {
			visit(d)
		}
		load = append(load, n)
	}
	visit(name)
	load = load[:len(load)-1]
	slices.Reverse(load)
	return load
}

// listFiles makes the files by which a loader finds modules, for the modules given, in the formats of depmod(8):
// modules.dep, modules.alias, modules.softdep and modules.builtin. Keys are paths below /lib/modules/VERSION.
func (x *moduleIndex) listFiles(names []string) map[string][]byte {
	var dep, alias, soft strings.Builder
	for _, n := range names {
		m := x.byName[n]
		dep.WriteString(m.path + ":")
		for _, d := range x.depsOf(n) {
			dep.WriteString(" " + x.byName[d].path)
		}
		dep.WriteByte('\n')
		for _, a := range slices.Compact(slices.Sorted(slices.Values(m.aliases))) {
			alias.WriteString("alias " + a + " " + n + "\n")
		}
		for _, s := range m.softdeps {
			soft.WriteString("softdep " + n + " " + s + "\n")
		}
	}
	return map[string][]byte{
		"modules.dep":     []byte(dep.String()),
		"modules.alias":   []byte(alias.String()),
		"modules.softdep": []byte(soft.String()),
		"modules.builtin": x.list,
	}
}

// firmwareOf lists the firmware files that the modules may ask for, with the first module that does.
func (x *moduleIndex) firmwareOf(names []string) map[string]string {
	files := map[string]string{}
	for _, n := range names {
		for _, f := range x.byName[n].firmware {
			if _, ok := files[f]; !ok && path.Clean("/"+f) == "/"+f {
				files[f] = n
			}
		}
	}
	return files
}
