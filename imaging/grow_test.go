package imaging_test

import (
	"strings"
	"testing"

	"ingot/imaging"
)

func TestWhatCannotGrowSaysWhy(t *testing.T) {
	esp := imaging.Partition{Number: 1, FirstLBA: 2048, LastLBA: 4095, FileSystem: "vfat"}
	root := imaging.Partition{Number: 2, FirstLBA: 4096, LastLBA: 8191, FileSystem: "ext4"}
	swap := imaging.Partition{Number: 3, FirstLBA: 8192, LastLBA: 9000, FileSystem: "swap"}
	xfs := root
	xfs.FileSystem = "xfs"
	raw := root
	raw.FileSystem = ""
	for name, c := range map[string]struct {
		table   string
		parts   []imaging.Partition
		n, swap int
		want    string // part of the sentence
	}{
		"the last partition, ext4":        {"gpt", []imaging.Partition{esp, root}, 2, 0, ""},
		"swap behind it":                  {"gpt", []imaging.Partition{esp, root, swap}, 2, 3, ""},
		"swap that may not be moved":      {"gpt", []imaging.Partition{esp, root, swap}, 2, 0, "Partition 3 lies behind"},
		"nothing grows":                   {"gpt", []imaging.Partition{esp, xfs, swap}, 0, 0, ""},
		"xfs":                             {"gpt", []imaging.Partition{esp, xfs}, 2, 0, "holds xfs"},
		"an unknown file system":          {"gpt", []imaging.Partition{esp, raw}, 2, 0, "no file system that is known"},
		"a table that is no GPT":          {"mbr", []imaging.Partition{esp, root}, 2, 0, "no GPT"},
		"a partition that is not there":   {"gpt", []imaging.Partition{esp}, 2, 0, "no partition 2"},
		"what lies in front is no matter": {"gpt", []imaging.Partition{root, esp}, 2, 0, ""},
	} {
		h := imaging.Header{Table: c.table, Partitions: c.parts}
		if got := h.GrowRefusal(c.n, c.swap); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
