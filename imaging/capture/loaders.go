package capture

import (
	"encoding/hex"
	"errors"

	"ingot/firmware/authenticode"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// fallbacks are the programs that UEFI firmware starts without a boot entry, one of each architecture (UEFI 2.10,
// 3.5.1.1). No boot entry comes with an image, so a disk without any of them does not start.
var fallbacks = []struct{ arch, path string }{
	{authenticode.X64, "/EFI/BOOT/BOOTX64.EFI"},
	{authenticode.IA32, "/EFI/BOOT/BOOTIA32.EFI"},
	{authenticode.AA64, "/EFI/BOOT/BOOTAA64.EFI"},
}

// maxLoader bounds what is read of a loader: a kernel with its initramfs in one program is about this long.
const maxLoader = 64 << 20

// Loaders tells by which programs UEFI firmware starts a disk; of a disk that is in the library already, too: what is
// known about it then does not depend on who captured it.
func Loaders(src Source) ([]job.Loader, error) {
	l := &layout{table: "none", ss: int64(src.SectorSize()), size: src.Size()}
	if err := l.readTable(src); err != nil {
		return nil, err
	}
	return l.loaders(), nil
}

// starts reports whether there is a fallback loader at all; who signed it is for Loaders to tell.
func (l *layout) starts() bool {
	for _, f := range fallbacks {
		if _, ok := l.loaderAt(f.path); ok {
			return true
		}
	}
	return false
}

// loaderAt finds a loader on an EFI partition.
func (l *layout) loaderAt(path string) (*fs.Volume, bool) {
	for _, p := range l.parts {
		v, ok := p.esp()
		if !ok {
			continue
		}
		if s, err := v.Stat(path); err == nil && s.Mode == fs.Regular && s.Size > 0 {
			return v, true
		}
	}
	return nil, false
}

// loaders tells which fallback loaders there are and who signed them. It stands beside the header and not in it:
// what is known about a signature may grow, the same disk still gives the same manifest. The agent, which has no room
// for it, leaves this to the daemon.
func (l *layout) loaders() []job.Loader {
	var out []job.Loader
	for _, f := range fallbacks {
		if v, ok := l.loaderAt(f.path); ok {
			out = append(out, describeLoader(v, f.arch, f.path))
		}
	}
	return out
}

// esp opens a partition that firmware looks for loaders on.
func (p *part) esp() (*fs.Volume, bool) {
	if p.guid != gpt.TypeESP && p.mbr != gpt.MBREFI {
		return nil, false
	}
	v, err := fs.Open(p.sec, p.sec.size())
	return v, err == nil
}

// describeLoader reads one loader. Whatever cannot be read is said, and refuses nothing later.
func describeLoader(v *fs.Volume, arch, path string) job.Loader {
	out := job.Loader{Arch: arch}
	b, err := v.ReadFile(path, maxLoader)
	if err != nil {
		out.Unread = "it could not be read"
		return out
	}
	p, err := authenticode.Parse(b)
	if errors.Is(err, authenticode.ErrNotProgram) {
		out.Unread = "it is no EFI program"
		return out
	}
	out.SHA256 = hex.EncodeToString(p.Digest[:])
	if err != nil {
		out.Unread = "its signature is not understood"
		return out
	}
	if p.Arch != arch {
		out.Unread = "it is for another processor than its name says"
	}
	for _, s := range p.Signatures {
		var c job.Chain
		for _, cert := range s.Chain {
			c = append(c, cert.Raw)
		}
		out.Chains = append(out.Chains, c)
	}
	return out
}
