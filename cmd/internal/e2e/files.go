package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"ingot/cmd/internal/lab"
)

// doneLine ends a job on the laptop's console.
var doneLine = regexp.MustCompile(`ingot: done\n`)

// tree is what lies in a file system: a line about each file, by its path from the root.
type tree map[string]string

// differs lists the paths that are not the same in both, sorted.
func (t tree) differs(u tree) (out []string) {
	for path, is := range t {
		if u[path] != is {
			out = append(out, path)
		}
	}
	for path := range u {
		if _, both := t[path]; !both {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// treeOf reads a folder: mode, and the content's hash of each file, or where a link leads. Folders count by their names
// alone.
func treeOf(dir string) (tree, error) {
	out := tree{}
	return out, filepath.WalkDir(dir, func(path string, x fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := "/" + path[len(dir)+1:]
		info, err := x.Info()
		if err != nil {
			return err
		}
		switch {
		case x.IsDir():
			out[name] = "folder"
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			out[name] = "link to " + to
		case info.Mode().IsRegular():
			sum, err := sumFile(path)
			if err != nil {
				return err
			}
			out[name] = fmt.Sprintf("%s %x", info.Mode(), sum)
		default:
			out[name] = info.Mode().String()
		}
		return nil
	})
}

// extFiles reads an ext4 partition of a drive's file with debugfs: neither kernel nor our own reader has a part in it.
func extFiles(ctx context.Context, e *Env, path string, number int) (tree, error) {
	return filesOf(ctx, e, path, number, func(at int64, dir string) []string {
		return []string{"debugfs", "-R", "rdump / " + dir, fmt.Sprintf("%s?offset=%d", path, at)}
	})
}

// fatFiles reads a FAT partition with mtools.
func fatFiles(ctx context.Context, e *Env, path string, number int) (tree, error) {
	return filesOf(ctx, e, path, number, func(at int64, dir string) []string {
		return []string{"mcopy", "-s", "-n", "-i", fmt.Sprintf("%s@@%d", path, at), "::/*", dir}
	})
}

func filesOf(ctx context.Context, e *Env, path string, number int, copying func(at int64, dir string) []string) (tree, error) {
	t, err := tableOf(path)
	if err != nil {
		return nil, err
	}
	part, err := entryOf(t, number)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(e.Dir, "files-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := lab.Command(ctx, copying(int64(part.First)*512, dir)...); err != nil {
		return nil, err
	}
	return treeOf(dir)
}
