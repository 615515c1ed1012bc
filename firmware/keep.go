package firmware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Held is one bundle that lies in a boot folder.
type Held struct {
	Name    string    `json:"name"`
	Current bool      `json:"current"`
	Built   time.Time `json:"built"`
	Record  Record    `json:"record"`
	Damage  string    `json:"damage,omitempty"` // why it cannot be read
}

// List gives the bundles of a boot folder, the newest first.
func List(dir string) ([]Held, error) {
	now, err := currentName(dir)
	if err != nil {
		return nil, fmt.Errorf("list boot bundles: %w", err)
	}
	var out []Held
	err = eachEntry(dir, func(name string) error {
		if !bundleDir.MatchString(name) {
			return nil
		}
		h := Held{Name: name, Current: name == now}
		if st, err := os.Stat(filepath.Join(dir, name, recordName)); err == nil {
			h.Built = st.ModTime()
		}
		if b, err := openBundle(filepath.Join(dir, name)); err != nil {
			h.Damage = err.Error()
		} else {
			h.Record = b.Record()
		}
		out = append(out, h)
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list boot bundles: %w", err)
	}
	slices.SortFunc(out, func(a, b Held) int { return b.Built.Compare(a.Built) })
	return out, nil
}

// OpenNamed opens one bundle of a boot folder.
func OpenNamed(dir, name string) (*Bundle, error) {
	if !bundleDir.MatchString(name) {
		return nil, fmt.Errorf("open boot bundle: %q is no bundle's name", name)
	}
	return openBundle(filepath.Join(dir, name))
}

// OpenKernel opens the bundle whose kernel has that release, the present one before others: a laptop that started a
// moment before the switch goes on with the drivers that fit its kernel. Without such a bundle it is the present one.
func OpenKernel(dir, release string) (*Bundle, error) {
	present, err := Open(dir)
	if err != nil || release == "" || present.record.KernelVersion == release {
		return present, err
	}
	held, err := List(dir)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if h.Record.KernelVersion == release {
			return openBundle(filepath.Join(dir, h.Name))
		}
	}
	return present, nil
}

// Prune removes the bundles that are neither present nor in use. inUse is asked while no build can switch; when it
// fails, or a build is running, nothing is removed.
func Prune(ctx context.Context, dir string, inUse func(context.Context) ([]string, error)) error {
	unlock, err := lockFolder(dir)
	if errors.Is(err, errBuilding) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove old boot bundles: %w", err)
	}
	defer unlock()
	now, err := currentName(dir)
	if err != nil || now == "" {
		return err
	}
	used, err := inUse(ctx)
	if err != nil {
		return fmt.Errorf("remove old boot bundles: %w", err)
	}
	return prune(dir, now, used)
}

// pruneUnused does the same at the end of a build, whose success does not hang on it.
func (b *builder) pruneUnused(ctx context.Context, now string) {
	used, err := b.InUse(ctx)
	if err == nil {
		err = prune(b.Dir, now, used)
	}
	if err != nil {
		b.Log.Warn().Err(err).Msg("old boot bundles were not removed")
	}
}

// prune removes all bundles but the present one and those kept.
func prune(dir, now string, keep []string) error {
	return eachEntry(dir, func(name string) error {
		if bundleDir.MatchString(name) && name != now && !slices.Contains(keep, name) {
			return os.RemoveAll(filepath.Join(dir, name))
		}
		return nil
	})
}

// currentName is the folder that is served now, "" when there is none.
func currentName(dir string) (string, error) {
	name, err := os.Readlink(filepath.Join(dir, currentLink))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return name, err
}

// other is name unless it is now.
func other(name, now string) string {
	if name == now {
		return ""
	}
	return name
}

func newestOther(dir, now string) string {
	held, err := List(dir)
	if err != nil {
		return ""
	}
	for _, h := range held {
		if h.Name != now {
			return h.Name
		}
	}
	return ""
}
