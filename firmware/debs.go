package firmware

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// deb is one package file.
type deb struct {
	file string
	pkg  Package
}

// The kernel's and the NTFS library's packages carry a version in their name, so they are found by pattern:
// through the package that always points at the present one, or in a folder.
var (
	kernelPackage  = regexp.MustCompile(`^linux-image-[0-9][0-9a-z.+~-]*-amd64$`)
	kernelVariant  = regexp.MustCompile(`-(cloud|rt)-`)
	libNTFSPackage = regexp.MustCompile(`^libntfs-3g[0-9a-z]*$`)
	debName        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_%:-]*\.deb$`)
)

// wantedPackage is one package that a bundle needs.
type wantedPackage struct {
	pattern  *regexp.Regexp // of its name
	via      string         // the package whose dependencies name it; "" when the pattern is a plain name
	plain    string
	optional bool
}

// wantedPackages is everything a bundle is made of, in the order of unpacking.
func wantedPackages() []wantedPackage {
	list := []wantedPackage{
		{pattern: kernelPackage, via: "linux-image-amd64", plain: "linux-image-*-amd64"},
		{pattern: libNTFSPackage, via: "ntfs-3g", plain: "libntfs-3g*"},
	}
	for _, n := range requiredPackages {
		list = append(list, wantedPackage{pattern: exactly(n), plain: n})
	}
	for _, n := range firmwarePackages {
		list = append(list, wantedPackage{pattern: exactly(n), plain: n, optional: true})
	}
	return list
}

func exactly(name string) *regexp.Regexp {
	return regexp.MustCompile("^" + regexp.QuoteMeta(name) + "$")
}

func (w wantedPackage) matches(name string) bool {
	return w.pattern.MatchString(name) && !kernelVariant.MatchString(name)
}

// fromFolder picks the packages out of a folder of .deb files; of several versions the newest.
func fromFolder(ctx context.Context, dir string) ([]deb, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.deb"))
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list packages: no .deb file in %s", dir)
	}
	wanted := wantedPackages()
	best := make([]deb, len(wanted))
	for _, f := range files {
		p, err := describe(ctx, f)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(wanted, func(w wantedPackage) bool { return w.matches(p.Name) })
		if i < 0 || p.Arch != "amd64" && p.Arch != "all" {
			continue
		}
		if best[i].file != "" && !newer(ctx, p, best[i].pkg) {
			continue
		}
		best[i] = deb{file: f, pkg: p}
	}
	return complete(wanted, best)
}

func escapeGlob(dir string) string {
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(dir, `\$0`)
}

// complete drops optional packages that are absent and names a required one that is.
func complete(wanted []wantedPackage, found []deb) ([]deb, error) {
	var out []deb
	var missing []string
	for i, w := range wanted {
		switch {
		case found[i].file != "":
			out = append(out, found[i])
		case !w.optional:
			missing = append(missing, w.plain)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("packages missing: %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// newer reports whether a has the higher version.
func newer(ctx context.Context, a, b Package) bool {
	return exec.CommandContext(ctx, "dpkg", "--compare-versions", a.Version, "gt", b.Version).Run() == nil
}

// describe reads the control fields of one package file and its digest.
func describe(ctx context.Context, file string) (Package, error) {
	out, err := run(ctx, "", "dpkg-deb", "--field", file, "Package", "Version", "Architecture")
	if err != nil {
		return Package{}, fmt.Errorf("package %s: %w", filepath.Base(file), err)
	}
	var p Package
	for _, line := range strings.Split(out, "\n") {
		k, v, _ := strings.Cut(line, ": ")
		switch k {
		case "Package":
			p.Name = v
		case "Version":
			p.Version = v
		case "Architecture":
			p.Arch = v
		}
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, fmt.Errorf("package %s: it states no name and version", filepath.Base(file))
	}
	f, err := os.Open(file)
	if err != nil {
		return Package{}, fmt.Errorf("package: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if p.Size, err = io.Copy(h, f); err != nil {
		return Package{}, fmt.Errorf("package %s: %w", filepath.Base(file), err)
	}
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	return p, nil
}

// fromAPT downloads the packages into dir with the host's own apt, which checks their signatures. Nothing is
// installed and no right is needed beyond writing to dir.
func fromAPT(ctx context.Context, dir string) ([]deb, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("download packages: %w", err)
	}
	wanted := wantedPackages()
	names := make([]string, len(wanted))
	for i, w := range wanted {
		var err error
		if names[i], err = resolve(ctx, w); err != nil {
			return nil, fmt.Errorf("download packages: %w", err)
		}
	}
	present := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
	offers, err := offered(ctx, present)
	if err != nil {
		return nil, fmt.Errorf("download packages: %w", err)
	}
	if _, err := run(ctx, dir, "apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, present...)...); err != nil {
		return nil, fmt.Errorf("download packages: %w", err)
	}
	found := make([]deb, len(wanted))
	for i, n := range names {
		if n == "" {
			continue
		}
		o := offers[n]
		file := filepath.Join(dir, o.file)
		p, err := describe(ctx, file)
		if err != nil {
			return nil, err
		}
		if p.Name != n || o.sha256 != "" && p.SHA256 != o.sha256 {
			return nil, fmt.Errorf("download packages: %s is not the package %s that apt offers", o.file, n)
		}
		found[i] = deb{file: file, pkg: p}
	}
	return complete(wanted, found)
}

// resolve gives the package name that apt knows for w, "" for an optional one that no source has.
func resolve(ctx context.Context, w wantedPackage) (string, error) {
	if w.via != "" {
		out, err := run(ctx, "", "apt-cache", "depends", "--important", w.via)
		if err != nil {
			return "", err
		}
		for _, word := range strings.Fields(out) {
			if w.matches(word) {
				return word, nil
			}
		}
		return "", fmt.Errorf("%s names no package like %s", w.via, w.plain)
	}
	out, err := run(ctx, "", "apt-cache", "policy", w.plain)
	if err != nil {
		return "", err
	}
	if strings.Contains(out, "Candidate: ") && !strings.Contains(out, "Candidate: (none)") {
		return w.plain, nil
	}
	if w.optional {
		return "", nil
	}
	return "", fmt.Errorf("no source of this host has the package %s", w.plain)
}

// offer is what apt would fetch for a package.
type offer struct{ file, sha256 string }

// offered asks apt which file each package is. It asks from an empty folder, since apt says nothing about a
// file that is there already.
func offered(ctx context.Context, names []string) (map[string]offer, error) {
	empty, err := os.MkdirTemp("", "ingot-apt-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(empty)
	out, err := run(ctx, empty, "apt-get", append([]string{"-q", "download", "--print-uris"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("%w (is the package list fresh? see apt-get update)", err)
	}
	offers := map[string]offer{}
	for _, line := range strings.Split(out, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || !debName.MatchString(f[1]) {
			continue
		}
		name, _, _ := strings.Cut(f[1], "_")
		offers[name] = offer{file: f[1]}
		if sum, ok := strings.CutPrefix(f[len(f)-1], "SHA256:"); ok {
			offers[name] = offer{file: f[1], sha256: sum}
		}
	}
	for _, n := range names {
		if offers[n].file == "" {
			return nil, fmt.Errorf("apt offers no file for %s", n)
		}
	}
	return offers, nil
}

// run starts a program of the distribution in plain English and gives its output; its complaint is the error.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out bytes.Buffer
	said := &complaint{}
	cmd.Stdout, cmd.Stderr = &out, said
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%s is not installed: the bundle is built on Debian", name)
	case err != nil:
		return "", fmt.Errorf("%s: %s (%w)", name, strings.TrimSpace(said.String()), err)
	}
	return out.String(), nil
}
