package firmware

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxStage1 is what GRUB may have to load by TFTP, in bytes.
const maxStage1 = 6_000_000

// maxStick bounds a stick's stage 1, in bytes: a laptop with 1 GB holds it, unpacked, beside its work.
const maxStick = 64_000_000

// picked is one file chosen for an archive, with where it came from.
type picked struct {
	path string
	mode uint32 // permission bits
	data []byte
	from Source
}

// member is the record's line about a picked file.
func (p picked) member() Member {
	sum := sha256.Sum256(p.data)
	return Member{Path: p.path, Size: int64(len(p.data)), SHA256: hex.EncodeToString(sum[:]), Source: p.from}
}

// made is the origin of files that are made here.
var made = Source{Package: "ingot"}

// pick takes a file out of the unpacked packages under the path to.
func (t *tree) pick(p, to string) (picked, error) {
	_, from, err := t.find(p)
	if err != nil {
		return picked{}, err
	}
	data, err := t.read(p)
	if err != nil {
		return picked{}, err
	}
	return picked{path: to, mode: 0o644, data: data, from: from}, nil
}

// chosenModules gives the module files as shipped, and the lists for all of listed.
func chosenModules(t *tree, x *moduleIndex, version string, files, listed []string) ([]picked, error) {
	base := "lib/modules/" + version + "/"
	var out []picked
	for _, n := range files {
		p := base + x.byName[n].path
		m, err := t.pick(p, p)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	for name, data := range x.listFiles(listed) {
		out = append(out, picked{path: base + name, mode: 0o644, data: data, from: made})
	}
	return out, nil
}

// nicFirmware gives the firmware files that the modules may ask for and a package holds, and names the others.
func nicFirmware(t *tree, x *moduleIndex, modules []string) (found []picked, missing []string, err error) {
	for file, mod := range x.firmwareOf(modules) {
		p := "lib/firmware/" + file
		if _, _, err := t.find(p); err != nil {
			missing = append(missing, mod+": "+file)
			continue
		}
		f, err := t.pick(p, p)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, f)
	}
	slices.Sort(missing)
	return found, missing, nil
}

// archive packs files as a compressed cpio archive and gives the record's lines about them.
func archive(files []picked, more []node) ([]byte, []Member, error) {
	nodes := slices.Clone(more)
	var members []Member
	for _, f := range files {
		nodes = append(nodes, node{path: f.path, mode: modeFile | f.mode, data: f.data})
		members = append(members, f.member())
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Path, b.Path) })
	var out bytes.Buffer
	// The kernel refuses windows above 128 MiB; one thread keeps the bytes equal on every machine.
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, nil, fmt.Errorf("compress: %w", err)
	}
	if err := writeCPIO(z, nodes); err != nil {
		z.Close()
		return nil, nil, err
	}
	if err := z.Close(); err != nil {
		return nil, nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), members, nil
}

// rootNodes are the folders and the console that a kernel and an /init expect to find.
func rootNodes() []node {
	nodes := []node{{path: "dev/console", mode: modeChar | 0o600, device: [2]uint32{5, 1}}}
	for _, d := range []string{"etc", "mnt", "proc", "run", "sys", "tmp"} {
		nodes = append(nodes, node{path: d, mode: modeDir | 0o755})
	}
	return nodes
}

// packedStage1 is the first archive and what was learnt while it was made.
type packedStage1 struct {
	raw     []byte
	members []Member
	modules []string // by name
	missing []string // firmware files that no package held
}

// stage1 packs what GRUB loads: the agent and the network.
func stage1(t *tree, x *moduleIndex, version string, agent picked) (packedStage1, error) {
	var s packedStage1
	var err error
	if s.modules, err = x.closure(stage1Modules); err != nil {
		return s, err
	}
	files, err := chosenModules(t, x, version, s.modules, s.modules)
	if err != nil {
		return s, err
	}
	blobs, missing, err := nicFirmware(t, x, s.modules)
	if err != nil {
		return s, err
	}
	s.missing = missing
	files = append(append(files, blobs...), agent)
	if s.raw, s.members, err = archive(files, rootNodes()); err != nil {
		return s, err
	}
	if len(s.raw) > maxStage1 {
		return s, fmt.Errorf("stage 1 has %d bytes, at most %d are allowed: %s", len(s.raw), maxStage1, largest(s.members))
	}
	return s, nil
}

// largest names the three largest members, for who must make room.
func largest(members []Member) string {
	m := slices.Clone(members)
	slices.SortFunc(m, func(a, b Member) int { return int(b.Size - a.Size) })
	var words []string
	for _, e := range m[:min(3, len(m))] {
		words = append(words, fmt.Sprintf("%s %d", path.Base(e.Path), e.Size))
	}
	return "the largest are " + strings.Join(words, ", ") + " before packing"
}

// stage2 packs what the agent fetches: the modules that stage 1 has not, the lists for both, and ntfs-3g.
func stage2(t *tree, x *moduleIndex, version string, first []string) ([]byte, []Member, error) {
	all, err := x.closure(slices.Concat(first, stage2Modules))
	if err != nil {
		return nil, nil, err
	}
	second := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(first, n) })
	files, err := chosenModules(t, x, version, second, all)
	if err != nil {
		return nil, nil, err
	}
	ntfs, err := t.program(ntfsProgram)
	if err != nil {
		return nil, nil, err
	}
	return archive(append(files, ntfs...), nil)
}

// stickStage packs what a stick's GRUB loads: the agent, stage 1 and stage 2 in one, and every wired driver. It is
// whole, so that a stick does not care which bundle the daemon serves when it is used.
func stickStage(t *tree, x *moduleIndex, version string, agent picked) ([]byte, []Member, error) {
	wanted := slices.Concat(stage1Modules, stage2Modules, stickModules, x.inFolders(stickFolders, stickSkips))
	modules, err := x.closure(wanted)
	if err != nil {
		return nil, nil, err
	}
	files, err := chosenModules(t, x, version, modules, modules)
	if err != nil {
		return nil, nil, err
	}
	blobs, _, err := nicFirmware(t, x, modules)
	if err != nil {
		return nil, nil, err
	}
	ntfs, err := t.program(ntfsProgram)
	if err != nil {
		return nil, nil, err
	}
	raw, members, err := archive(slices.Concat(files, blobs, ntfs, []picked{agent}), rootNodes())
	if err == nil && len(raw) > maxStick {
		err = fmt.Errorf("a stick's stage 1 has %d bytes, at most %d are allowed: %s", len(raw), maxStick, largest(members))
	}
	return raw, members, err
}
