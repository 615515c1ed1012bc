package disk_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// sysfs builds a tree of attributes; a block device is named by its path below devices.
func sysfs(t *testing.T, devices map[string]map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "block"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, attrs := range devices {
		dir := filepath.Join(root, "devices", path)
		for name, value := range attrs {
			f := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, []byte(value), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(path, "/block/") || strings.Contains(path, "/nvme") {
			if err := os.Symlink(dir, filepath.Join(root, "block", filepath.Base(path))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// drive is what every block device tells, with more.
func drive(sectors string, more ...string) map[string]string {
	m := map[string]string{"size": sectors + "\n", "queue/logical_block_size": "512\n", "queue/rotational": "0\n", "removable": "0\n", "ro": "0\n"}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func TestListTellsEachKindOfDriveFromSysfs(t *testing.T) {
	root := sysfs(t, map[string]map[string]string{
		"pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1": drive("2000", "device/serial", "NVSER01             \n", "device/model", "LabNVMe \n", "wwid", "eui.0025385b71b0c2a4\n", "queue/logical_block_size", "4096\n"),
		"pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda": drive("4000", "device/vpd_pg80", "\x00\x80\x00\x10  SATASER1      ", "device/model", "LABDISK\n",
			"device/wwid", "naa.5000c500a1b2c3d4\n", "queue/rotational", "1\n"),
		"pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host3/target3:0:0/3:0:0:0/block/sdb": drive("4000", "device/vpd_pg80", "\x00\x80\x00\x04USB1", "device/wwid", "t10.USB disk\n"),
		"pci0000:00/0000:00:05.0/virtio2/block/vda":                                    drive("4000", "serial", "VBLK1\n"),
		"platform/mmc/mmc0/mmc0:0001/block/mmcblk0":                                    drive("4000", "device/serial", "0x1a2b\n", "device/type", "MMC\n", "device/name", "BJTD4R\n", "device/cid", "1501\n"),
		"platform/mmc/mmc1/mmc1:0001/block/mmcblk1":                                    drive("4000", "device/serial", "0x9\n", "device/type", "SD\n"),
		"platform/mmc/mmc0/mmc0:0001/block/mmcblk0boot0":                               drive("8", "device/serial", "0x1a2b\n"),
		"virtual/block/loop0":                                                          drive("100"),
		"virtual/block/zram0":                                                          drive("100"),
		"virtual/block/dm-0":                                                           drive("100"),
		"pci0000:00/0000:00:14.0/usb2/2-2/host4/target4:0:0/4:0:0:0/block/sdc":         drive("0"),
	})
	got, err := disk.List(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Drive{
		{Path: "/dev/mmcblk0", Serial: "0x1a2b", WWN: "1501", Model: "BJTD4R", Transport: "mmc", SizeBytes: 2048000, SectorSize: 512},
		{Path: "/dev/mmcblk1", Serial: "0x9", Transport: "mmc", SizeBytes: 2048000, SectorSize: 512, Removable: true},
		{Path: "/dev/nvme0n1", Serial: "NVSER01", WWN: "eui.0025385b71b0c2a4", Model: "LabNVMe", Transport: "nvme", SizeBytes: 1024000, SectorSize: 4096},
		{Path: "/dev/sda", Serial: "SATASER1", WWN: "naa.5000c500a1b2c3d4", Model: "LABDISK", Transport: "sata", SizeBytes: 2048000, SectorSize: 512, Rotational: true},
		{Path: "/dev/sdb", Serial: "USB1", Transport: "usb", SizeBytes: 2048000, SectorSize: 512, Removable: true},
		{Path: "/dev/vda", Serial: "VBLK1", Transport: "virtio", SizeBytes: 2048000, SectorSize: 512},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("List =\n%+v; want\n%+v", got, want)
	}
}

// TestADriveBehindAnOutsidePortIsRemovable plugs one NVMe drive in by Thunderbolt, as a controller and as a
// subsystem with a virtual path.
func TestADriveBehindAnOutsidePortIsRemovable(t *testing.T) {
	root := sysfs(t, map[string]map[string]string{
		"pci0/0000:00:1c.0": {"removable": "removable\n"},
		"pci0/0000:00:1c.0/0000:03:00.0/nvme/nvme0/nvme0n1": drive("2000", "device/serial", "OUT1"),
		"virtual/nvme-subsystem/nvme-subsys1/nvme1n1":       drive("2000"),
		"pci0/0000:00:1d.0/0000:04:00.0/nvme/nvme2/nvme2n1": drive("2000", "device/serial", "IN1"),
	})
	sub := filepath.Join(root, "devices/virtual/nvme-subsystem/nvme-subsys1")
	for link, to := range map[string]string{
		filepath.Join(sub, "nvme1n1/device"): sub,
		filepath.Join(sub, "nvme0"):          filepath.Join(root, "devices/pci0/0000:00:1c.0/0000:03:00.0/nvme/nvme0"),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	got, err := disk.List(root)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"/dev/nvme0n1": true, "/dev/nvme1n1": true, "/dev/nvme2n1": false}
	for _, d := range got {
		if d.Removable != want[d.Path] {
			t.Errorf("%s removable = %v; want %v", d.Path, d.Removable, want[d.Path])
		}
	}
	if len(got) != len(want) {
		t.Errorf("List found %d drives; want %d", len(got), len(want))
	}
}

func TestADrivesStringsAreMadeHarmless(t *testing.T) {
	root := sysfs(t, map[string]map[string]string{
		"pci/nvme/nvme0/nvme0n1":   drive("2000", "device/serial", "A\x1b[2J\x00\xffB"+strings.Repeat("x", 4000), "queue/logical_block_size", "junk", "size", "99999999999999999999"),
		"pci/nvme/nvme1/nvme1n1":   drive("2000", "device/model", "<script>\n"),
		"pci/ata1/host0/block/sda": drive("2000", "device/vpd_pg80", "\x00\x80\xff\xffSHORT"),
	})
	got, err := disk.List(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if len(d.Serial) > 128 || strings.ContainsAny(d.Serial, "\x1b\x00") || !utf8.ValidString(d.Serial) {
			t.Errorf("serial %q; want printable and at most 128 characters", d.Serial)
		}
		if d.Path == "/dev/sda" && d.Serial != "SHORT" {
			t.Errorf("serial of a page that lies about its length = %q; want SHORT", d.Serial)
		}
	}
}

func TestOnlyTheApprovedDriveIsChosen(t *testing.T) {
	good := job.Drive{Path: "/dev/nvme0n1", Serial: "S1", WWN: "eui.1", Transport: "nvme", SizeBytes: 1000 * 512, SectorSize: 512}
	want := job.Target{Serial: "S1", WWN: "eui.1", SizeBytes: 1000 * 512, SectorSize: 512}
	with := func(f func(*job.Drive)) job.Drive { d := good; f(&d); return d }
	cases := map[string]struct {
		drives []job.Drive
		want   job.Target
		code   job.Code
	}{
		"the drive itself":                 {[]job.Drive{good}, want, ""},
		"a target without a WWN":           {[]job.Drive{good}, job.Target{Serial: "S1", SizeBytes: 512000, SectorSize: 512}, ""},
		"among others":                     {[]job.Drive{with(func(d *job.Drive) { d.Serial = "S2" }), good}, want, ""},
		"two namespaces of one controller": {[]job.Drive{with(func(d *job.Drive) { d.WWN = "eui.2" }), good}, want, ""},
		"no drive":                         {nil, want, job.CodeNoDrive},
		"another serial":                   {[]job.Drive{with(func(d *job.Drive) { d.Serial = "S2" })}, want, job.CodeWrongDrive},
		"another WWN":                      {[]job.Drive{with(func(d *job.Drive) { d.WWN = "eui.2" })}, want, job.CodeWrongDrive},
		"another size":                     {[]job.Drive{with(func(d *job.Drive) { d.SizeBytes += 512 })}, want, job.CodeWrongDrive},
		"another sector size":              {[]job.Drive{with(func(d *job.Drive) { d.SectorSize = 4096 })}, want, job.CodeSectorSize},
		"a removable drive":                {[]job.Drive{with(func(d *job.Drive) { d.Removable = true })}, want, job.CodeRemovable},
		"a drive on USB":                   {[]job.Drive{with(func(d *job.Drive) { d.Transport = "usb" })}, want, job.CodeRemovable},
		"a read-only drive":                {[]job.Drive{with(func(d *job.Drive) { d.ReadOnly = true })}, want, job.CodeDriveWrite},
		"two drives with one serial":       {[]job.Drive{good, good}, job.Target{Serial: "S1", SizeBytes: 512000, SectorSize: 512}, job.CodeWrongDrive},
		"an order without a serial":        {[]job.Drive{with(func(d *job.Drive) { d.Serial = "" })}, job.Target{SizeBytes: 512000, SectorSize: 512}, job.CodeWrongDrive},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := disk.Choose(c.drives, c.want)
			if c.code != "" {
				wantCode(t, err, c.code)
			} else if err != nil || !reflect.DeepEqual(d, good) {
				t.Errorf("Choose = %+v, %v; want the drive", d, err)
			}
		})
	}
}
