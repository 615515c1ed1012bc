package inspect

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// debian reads dpkg's record of what is installed, and when that last changed.
func (l *look) debian() {
	f := l.tree.open("/var/lib/dpkg/status")
	if f == nil {
		return
	}
	l.tree.fail("/var/lib/dpkg/status", ParseStatus(section(f), l.add))
	for _, p := range l.Packages {
		if p.Name == "dpkg" {
			l.System.Arch = p.Arch
		}
	}
	for _, e := range l.tree.list("/var/lib/dpkg/info") {
		if strings.HasSuffix(e.Name, ".list") {
			l.patchedAt(e.Changed)
		}
	}
}

// ParseStatus reads the paragraphs of dpkg's status file and calls add with each package that is installed.
func ParseStatus(r io.Reader, add func(Package)) error {
	p, installed := Package{Kind: "deb"}, false
	end := func() {
		if installed && p.Name != "" {
			add(p)
		}
		p, installed = Package{Kind: "deb"}, false
	}
	err := lines(r, func(line string) {
		if line == "" {
			end()
			return
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' { // goes on from the line before
			return
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Architecture":
			p.Arch = value
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		}
	})
	end()
	return err
}

// sortPackages puts them in the order of their names, and drops those that are told twice.
func (l *look) sortPackages() {
	slices.SortFunc(l.Packages, func(a, b Package) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Arch, b.Arch), Compare(a.Version, b.Version), strings.Compare(a.Kind, b.Kind))
	})
	l.Packages = slices.Compact(l.Packages)
}
