package firmware

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of one package's contents.
const (
	maxMembers     = 200_000
	maxMember      = 512 << 20 // bytes of one file
	maxPackage     = 4 << 30   // bytes of all files
	maxLinks       = 8         // symbolic links followed for one file
	maxDebComplain = 2 << 10   // bytes kept of dpkg-deb's complaint
)

// tree holds what was unpacked from the packages: files below a private folder, links as a table. A merged /usr
// is undone in the keys: usr/lib/x is found as lib/x, wherever a release ships it.
type tree struct {
	root  *os.Root
	files map[string]Source
	links map[string]string
}

func newTree(dir string) (*tree, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, files: map[string]Source{}, links: map[string]string{}}, nil
}

func (t *tree) close() error { return t.root.Close() }

// key is the name under which a shipped path is found, and whether the bundle can use such a file at all.
func key(shipped string) (string, bool) {
	k := strings.TrimPrefix(shipped, "usr/")
	for _, top := range []string{"lib/", "lib64/", "bin/", "sbin/", "boot/vmlinuz-"} {
		if strings.HasPrefix(k, top) {
			return k, true
		}
	}
	return "", false
}

// unpack adds the files of one package, read as the tar stream that dpkg-deb makes of it. A package cut short
// is an error, and so is a path that leads outside.
func (t *tree) unpack(ctx context.Context, d deb) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", d.file)
	said := &complaint{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(d.file), err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(d.file), err)
	}
	readErr := t.readTar(out, d)
	if readErr == nil {
		_, readErr = io.Copy(io.Discard, out)
	}
	if readErr != nil {
		out.Close() // the writer at the other end stops
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case said.Len() > 0 && waitErr != nil && !errors.Is(readErr, errContents):
		return fmt.Errorf("unpack %s: the package is damaged: %s", filepath.Base(d.file), strings.TrimSpace(said.String()))
	case readErr != nil:
		return fmt.Errorf("unpack %s: %w", filepath.Base(d.file), readErr)
	case waitErr != nil:
		return fmt.Errorf("unpack %s: %w", filepath.Base(d.file), waitErr)
	}
	return nil
}

// errContents marks contents that are refused, as opposed to a stream that broke.
var errContents = errors.New("refused contents")

func (t *tree) readTar(r io.Reader, d deb) error {
	tr := tar.NewReader(r)
	var total int64
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read its contents: %w", err)
		}
		if n == maxMembers {
			return fmt.Errorf("%w: more than %d members", errContents, maxMembers)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
		if name != "" && name != "." && !filepath.IsLocal(name) {
			return fmt.Errorf("%w: the path %q leads outside", errContents, h.Name)
		}
		shipped := path.Clean(name)
		k, wanted := key(shipped)
		if !wanted {
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg:
			if total += h.Size; h.Size > maxMember || total > maxPackage {
				return fmt.Errorf("%w: %s is too large", errContents, shipped)
			}
			if err := t.add(k, tr, Source{Package: d.pkg.Name, Version: d.pkg.Version, Path: shipped}); err != nil {
				return err
			}
		case tar.TypeSymlink, tar.TypeLink:
			t.links[k] = linkTarget(k, h)
		}
	}
}

// linkTarget gives the key that a link leads to, "" when it leads to nothing that is kept.
func linkTarget(from string, h *tar.Header) string {
	to := h.Linkname
	if h.Typeflag == tar.TypeSymlink && !strings.HasPrefix(to, "/") {
		to = path.Join(path.Dir(from), to)
	}
	k, _ := key(strings.TrimPrefix(path.Clean("/"+to), "/"))
	return k
}

// add stores one file under a number, so that no name of a stranger names a file of ours.
func (t *tree) add(k string, r io.Reader, from Source) error {
	if other, twice := t.files[k]; twice {
		return fmt.Errorf("%w: %s stands in %s and in %s", errContents, k, other.Package, from.Package)
	}
	f, err := t.root.OpenFile(t.place(len(t.files)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return fmt.Errorf("store %s: %w", k, err)
	}
	from.slot = len(t.files)
	t.files[k] = from
	return f.Close()
}

func (t *tree) place(slot int) string { return fmt.Sprintf("%06d", slot) }

// under lists the keys that start with prefix, sorted.
func (t *tree) under(prefix string) []string {
	var out []string
	for k := range t.files {
		if strings.HasPrefix(k, prefix) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// find gives the key and origin of a file, links followed.
func (t *tree) find(p string) (string, Source, error) {
	k, ok := key(p)
	for hops := 0; ok && hops <= maxLinks; hops++ {
		if s, isFile := t.files[k]; isFile {
			return k, s, nil
		}
		k, ok = t.links[k]
	}
	return "", Source{}, fmt.Errorf("no package given holds /%s", p)
}

// read gives the bytes of a file, links followed.
func (t *tree) read(p string) ([]byte, error) {
	_, s, err := t.find(p)
	if err != nil {
		return nil, err
	}
	f, err := t.root.Open(t.place(s.slot))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return b, nil
}

// complaint keeps the first bytes of a program's complaint.
type complaint struct{ bytes.Buffer }

// Write implements io.Writer and never fails.
func (t *complaint) Write(p []byte) (int, error) {
	t.Buffer.Write(p[:min(len(p), maxDebComplain-min(t.Len(), maxDebComplain))])
	return len(p), nil
}
