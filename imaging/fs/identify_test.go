package fs_test

import (
	"bytes"
	"testing"

	"ingot/imaging/fs"
)

func TestIdentifyKnowsWhatItMustNotTakeForFree(t *testing.T) {
	at := func(off int, s string, more ...any) []byte {
		b := make([]byte, mib)
		copy(b[off:], s)
		for i := 0; i+1 < len(more); i += 2 {
			copy(b[more[i].(int):], more[i+1].(string))
		}
		return b
	}
	cases := map[string]struct {
		volume []byte
		want   fs.Type
	}{
		"nothing":               {make([]byte, mib), fs.Unknown},
		"LUKS":                  {at(0, "LUKS\xba\xbe\x00\x02"), fs.LUKS},
		"BitLocker":             {at(0, "\xeb\x58\x90-FVE-FS-"), fs.BitLocker},
		"BitLocker To Go":       {at(0, "\xeb\x58\x90MSWIN4.1", 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"), fs.BitLocker},
		"LVM":                   {at(512, "LABELONE", 512+24, "LVM2 001"), fs.LVM},
		"md of version 1.2":     {at(4096, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"), fs.RAID},
		"md of version 1.0":     {at((mib/512-16)&^7*512, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00", 1080, "\x53\xef"), fs.RAID},
		"NTFS":                  {at(0, "\xeb\x52\x90NTFS    "), fs.NTFS},
		"exFAT":                 {at(0, "\xeb\x76\x90EXFAT   "), fs.ExFAT},
		"XFS":                   {at(0, "XFSB"), fs.XFS},
		"btrfs":                 {at(65536+64, "_BHRfS_M"), fs.Btrfs},
		"a hibernated swap":     {at(4086, "S1SUSPEND\x00"), fs.Suspended},
		"LUKS over an old ext4": {at(0, "LUKS\xba\xbe\x00\x02", 1080, "\x53\xef"), fs.LUKS},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			info, err := fs.Identify(bytes.NewReader(c.volume), int64(len(c.volume)))
			if err != nil || info.Type != c.want {
				t.Errorf("Identify = %+v, %v; want %q", info, err, c.want)
			}
			if _, err := fs.Used(bytes.NewReader(c.volume), int64(len(c.volume))); err == nil {
				t.Error("Used gives a map of it")
			}
		})
	}
	if _, err := fs.Identify(bytes.NewReader(nil), 100); err == nil {
		t.Error("Identify takes a volume that is shorter than said")
	}
	if info, err := fs.Identify(bytes.NewReader(make([]byte, 512)), 512); err != nil || info.Type != fs.Unknown {
		t.Errorf("Identify of one sector = %+v, %v", info, err)
	}
}

func TestSwapKeepsItsHeaderOnly(t *testing.T) {
	path := blank(t, 10*mib)
	run(t, "", "mkswap", "-U", "11111111-2222-3333-4444-555555555555", "-L", "swap", path)
	f, size := open(t, path)
	if info, err := fs.Identify(f, size); err != nil || info != (fs.Info{Type: fs.Swap, Label: "swap", UUID: "11111111-2222-3333-4444-555555555555"}) {
		t.Errorf("Identify = %+v, %v", info, err)
	}
	m, err := fs.Used(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if s, e, err := m.Next(0); s != 0 || e != 4096 || err != nil {
		t.Errorf("Next(0) = %d, %d, %v; want the first page", s, e, err)
	}
	if s, e, err := m.Next(4096); s != size || e != size || err != nil {
		t.Errorf("Next(4096) = %d, %d, %v; want the end", s, e, err)
	}
}
