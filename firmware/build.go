package firmware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// maxAgent bounds the agent's program, in bytes.
const maxAgent = 64 << 20

// Options say what a bundle is made from and where it goes.
type Options struct {
	Dir   string         // the boot folder, DATA/boot; made when absent
	Debs  string         // a folder of .deb files to build from offline; "" downloads with the host's apt
	Agent string         // the agent's program: static, becomes /init
	Log   zerolog.Logger // what happens, step by step

	// InUse names the bundles that jobs or starts refer to; it is asked after the switch, and only those and the
	// present one are kept. When it fails, nothing is removed. Nil keeps the one bundle before.
	InUse func(context.Context) ([]string, error)
}

// Build makes a bundle and switches the boot folder to it; after any error the folder serves what it served before.
// Two builds at once are refused.
func Build(ctx context.Context, o Options) (*Bundle, error) {
	var bundle *Bundle
	err := withBuilder(o, func(b *builder) error {
		debs, err := b.packages(ctx)
		if err == nil {
			bundle, err = b.build(ctx, debs)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("build boot bundle: %w", err)
	}
	return bundle, nil
}

// withBuilder runs do with the folder locked and a place to work in, and clears up.
func withBuilder(o Options, do func(*builder) error) error {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := lockFolder(o.Dir, lockPatience)
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeLeftovers(o.Dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp(o.Dir, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	agent, err := readAgent(o.Agent) // before anything is downloaded
	if err != nil {
		return err
	}
	return do(&builder{Options: o, work: work, agent: agent, record: Record{Version: recordVersion}})
}

// builder holds what the steps of one build share.
type builder struct {
	Options
	work   string // holds "root" while unpacking and "bundle", the folder to be
	agent  picked
	record Record
	tree   *tree
}

// build is the list of steps.
func (b *builder) build(ctx context.Context, debs []deb) (*Bundle, error) {
	var err error
	if b.tree, err = newTree(filepath.Join(b.work, "root")); err != nil {
		return nil, err
	}
	defer b.tree.close()
	for _, d := range debs {
		b.Log.Info().Str("package", d.pkg.Name).Str("version", d.pkg.Version).Msg("unpacking")
		if err := b.tree.unpack(ctx, d); err != nil {
			return nil, err
		}
		b.record.Packages = append(b.record.Packages, d.pkg)
	}
	if err := os.Mkdir(b.out(""), 0o755); err != nil {
		return nil, err
	}
	if err := b.wholeFiles(); err != nil {
		return nil, err
	}
	if err := b.stages(ctx, b.agent); err != nil {
		return nil, err
	}
	if err := b.httpBoot(); err != nil {
		return nil, err
	}
	return b.finish(ctx)
}

func (b *builder) packages(ctx context.Context) ([]deb, error) {
	if b.Debs != "" {
		b.Log.Info().Str("folder", b.Debs).Msg("taking the packages from a folder")
		return fromFolder(ctx, b.Debs)
	}
	b.Log.Info().Msg("downloading the packages with apt")
	cache := filepath.Join(b.Dir, "debs")
	debs, err := fromAPT(ctx, cache)
	if err != nil {
		return nil, err
	}
	return debs, dropOthers(cache, debs)
}

// readAgent reads the agent's program. It must be a static program: nothing else is there when it starts.
func readAgent(file string) (picked, error) {
	if file == "" {
		return picked{}, errors.New("no agent program given")
	}
	raw, err := readAtMost(file, maxAgent)
	if err != nil {
		return picked{}, fmt.Errorf("the agent: %w", err)
	}
	needed, loader, err := elfNeeds(raw)
	if err != nil {
		return picked{}, fmt.Errorf("the agent %s: %w", file, err)
	}
	if loader != "" || len(needed) > 0 {
		return picked{}, fmt.Errorf("the agent %s is not static: it needs %s", file, strings.Join(append(needed, loader), " "))
	}
	return picked{path: "init", mode: 0o755, data: raw, from: Source{Package: "ingot", Path: path.Base(filepath.ToSlash(file))}}, nil
}

// wholeFiles copies what is taken over as it is, and the kernel.
func (b *builder) wholeFiles() error {
	for _, w := range whole {
		if err := b.copyOut(w.name, w.path); err != nil {
			return err
		}
	}
	kernels := b.tree.under("boot/vmlinuz-")
	if len(kernels) != 1 {
		return fmt.Errorf("the kernel package holds %d kernels, want one", len(kernels))
	}
	b.record.KernelVersion = strings.TrimPrefix(kernels[0], "boot/vmlinuz-")
	return b.copyOut(Kernel, kernels[0])
}

func (b *builder) copyOut(name, from string) error {
	p, err := b.tree.pick(from, name)
	if err != nil {
		return err
	}
	return b.put(Entry{Name: name, Source: p.from}, p.data)
}

// stages makes stage 1 and stage 2, and the one archive of a stick.
func (b *builder) stages(ctx context.Context, agent picked) error {
	b.Log.Info().Str("kernel", b.record.KernelVersion).Msg("reading the kernel's modules")
	x, err := indexModules(b.tree, b.record.KernelVersion)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.Log.Info().Int("modules", len(x.byName)).Msg("packing stage 1")
	first, err := stage1(b.tree, x, b.record.KernelVersion, agent)
	if err != nil {
		return err
	}
	b.record.MissingFirmware = first.missing
	if err := b.put(Entry{Name: Stage1, Source: made, Members: first.members}, first.raw); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.Log.Info().Int("stage1_bytes", len(first.raw)).Msg("packing stage 2")
	raw, members, err := stage2(b.tree, x, b.record.KernelVersion, first.modules)
	if err != nil {
		return err
	}
	if err := b.put(Entry{Name: Stage2, Source: made, Members: members}, raw); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.Log.Info().Int("stage2_bytes", len(raw)).Msg("packing stage 1 of a stick")
	if raw, members, err = stickStage(b.tree, x, b.record.KernelVersion, agent); err != nil {
		return err
	}
	return b.put(Entry{Name: StickRAM, Source: made, Members: members}, raw)
}

// httpBoot writes the disk image from the files that stand in the bundle already, and the disk GRUB.
func (b *builder) httpBoot() error {
	b.Log.Info().Msg("writing the HTTP Boot image")
	grub, err := b.tree.pick(diskGrub, "EFI/BOOT/grubx64.efi")
	if err != nil {
		return err
	}
	if err := b.put(Entry{Name: DiskGrub, Source: grub.from}, grub.data); err != nil {
		return err
	}
	data := map[string][]byte{}
	for _, name := range []string{Shim, Kernel, Stage1} {
		if data[name], err = readAtMost(b.out(name), maxMember); err != nil {
			return err
		}
	}
	files := httpBootFiles(data[Shim], grub.data, data[Kernel], data[Stage1])
	f, err := os.OpenFile(b.out(HTTPBoot), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if b.record.Template, err = writeImage(f, files); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", HTTPBoot, err)
	}
	e := Entry{Name: HTTPBoot, Source: made}
	for _, m := range files {
		from := made
		switch m.path {
		case "EFI/BOOT/BOOTX64.EFI":
			from = b.sourceOf(Shim)
		case "EFI/BOOT/grubx64.efi":
			from = grub.from
		case Kernel:
			from = b.sourceOf(Kernel)
		}
		e.Members = append(e.Members, picked{path: m.path, data: m.data, from: from}.member())
	}
	if e.Size, e.SHA256, err = digestOf(f); err != nil {
		return err
	}
	b.record.Files = append(b.record.Files, e)
	return nil
}

func (b *builder) sourceOf(name string) Source {
	for _, e := range b.record.Files {
		if e.Name == name {
			return e.Source
		}
	}
	return made
}

// errBuilding says that a build holds the folder.
var errBuilding = errors.New("another build is running")

// lockPatience is how long a build waits for the folder: removing old bundles takes less, another build more.
const lockPatience = 2 * time.Second

// lockFolder keeps a second build out until the first one ends.
func lockFolder(dir string, patience time.Duration) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
		case time.Now().After(end):
			return nil, errors.Join(errBuilding, f.Close())
		}
	}
}
