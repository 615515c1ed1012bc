package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"
)

// MaxModule is the largest module in bytes, unpacked, that is loaded.
const MaxModule = 64 << 20

// Loader inserts the modules of one folder into the kernel, each once. It may be used concurrently.
type Loader struct {
	Dir    string                  // like /lib/modules/6.1.0-56-amd64
	Insert func(file string) error // puts one file into the kernel; nil for the kernel's own call

	mu     sync.Mutex
	index  *Index
	loaded map[string]error // the outcome of each name that was tried
}

// Refresh reads the folder's index again; it is called first, and once more when stage 2 has merged its own.
// Modules that were missing or failed are tried anew afterwards.
func (l *Loader) Refresh() error {
	x, err := ReadIndex(os.DirFS(l.Dir))
	if err != nil {
		return fmt.Errorf("read the modules of %s: %w", l.Dir, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index = x
	kept := map[string]error{}
	for name, err := range l.loaded {
		if err == nil {
			kept[name] = nil
		}
	}
	l.loaded = kept
	return nil
}

// Load puts a module, what it needs and its soft dependencies into the kernel. Asking again for a loaded one
// costs nothing.
func (l *Loader) Load(module string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index == nil {
		return errors.New("the modules' index is not read yet")
	}
	steps, err := l.index.Plan(module)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := l.insert(s); err != nil && !s.Soft {
			return fmt.Errorf("load module %s: %w", s.Name, err)
		}
	}
	return nil
}

// insert puts one file in, or repeats the outcome of the first time. l.mu is held.
func (l *Loader) insert(s Step) error {
	if err, tried := l.loaded[s.Name]; tried {
		return err
	}
	insert := l.Insert
	if insert == nil {
		insert = insertFile
	}
	err := insert(filepath.Join(l.Dir, s.File))
	if errors.Is(err, unix.EEXIST) {
		err = nil
	}
	l.loaded[s.Name] = err
	return err
}

// LoadAlias loads every module that matches a modalias or alias. No match is no error: most devices of a laptop
// need nothing that the bundle carries. A device that is absent (ENODEV) is none either.
func (l *Loader) LoadAlias(modalias string) error {
	l.mu.Lock()
	x := l.index
	l.mu.Unlock()
	if x == nil {
		return errors.New("the modules' index is not read yet")
	}
	var errs []error
	for _, m := range x.Match(modalias) {
		if err := l.Load(m); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Coldplug loads modules for every device that sysfs (/sys) already shows, and returns what could not be loaded,
// one sentence each. Loading a bus driver shows new devices, so it walks until nothing new appears.
func (l *Loader) Coldplug(sys string) []string {
	done := map[string]bool{}
	var wrong []string
	for again := true; again; {
		again = false
		for _, m := range modaliases(filepath.Join(sys, "devices")) {
			if done[m] {
				continue
			}
			done[m], again = true, true
			if err := l.LoadAlias(m); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	return wrong
}

// modaliases reads every file of that name below a folder; links, which only point back, are not followed.
func modaliases(root string) []string {
	var out []string
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a device that went away while it was looked at
		}
		if d.Name() == "modalias" && d.Type().IsRegular() {
			if b, err := os.ReadFile(p); err == nil && len(b) > 1 {
				out = append(out, strings.TrimSpace(string(b)))
			}
		}
		return nil
	})
	return out
}

// insertFile gives a plain .ko to the kernel by its file, so that the kernel can judge where it comes from, and a
// packed one by its bytes. The signature at a module's end stays as the distribution made it.
func insertFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.HasSuffix(file, ".ko") {
		return unix.FinitModule(int(f.Fd()), "", 0)
	}
	b, err := Unpack(file, f)
	if err != nil {
		return err
	}
	return unix.InitModule(b, "")
}

// Unpack reads a packed module (.ko.xz, .ko.zst) whole; it is at most MaxModule bytes.
func Unpack(file string, r io.Reader) ([]byte, error) {
	var plain io.Reader
	switch {
	case strings.HasSuffix(file, ".ko.xz"):
		x, err := xz.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
		plain = x
	case strings.HasSuffix(file, ".ko.zst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxModule))
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
		defer z.Close()
		plain = z
	default:
		return nil, fmt.Errorf("unpack %s: not .ko, .ko.xz or .ko.zst", file)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(plain, MaxModule+1))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	if n > MaxModule {
		return nil, fmt.Errorf("unpack %s: more than %d bytes", file, MaxModule)
	}
	return out.Bytes(), nil
}
