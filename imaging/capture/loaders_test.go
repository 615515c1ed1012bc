package capture_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ingot/imaging/capture"
	"ingot/imaging/diskfile"
	"ingot/imaging/job"
)

// TestTheLoadersOfTheEFIPartitionAreTold makes EFI partitions with loaders of several names and contents.
func TestTheLoadersOfTheEFIPartitionAreTold(t *testing.T) {
	shim, err := os.ReadFile("/usr/lib/shim/shimx64.efi.signed")
	signed := err == nil // Debian's package shim-signed
	for name, c := range map[string]struct {
		files    map[string]string
		firmware []string
		arch     string
		unread   string
		chains   bool
	}{
		"none":                   {map[string]string{"other.efi": "MZ"}, nil, "", "", false},
		"no program":             {map[string]string{"BOOTX64.EFI": "MZ"}, []string{"uefi"}, "x64", "it is no EFI program", false},
		"for ARM only":           {map[string]string{"BOOTAA64.EFI": "MZ"}, []string{"uefi"}, "aa64", "it is no EFI program", false},
		"signed by Microsoft":    {map[string]string{"BOOTX64.EFI": string(shim)}, []string{"uefi"}, "x64", "", true},
		"x64 under another name": {map[string]string{"BOOTIA32.EFI": string(shim)}, []string{"uefi"}, "ia32", "it is for another processor than its name says", true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.chains && !signed {
				t.Skip("Debian's package shim-signed is not installed")
			}
			v := esp(t, 20, false)
			for name, text := range c.files {
				tool(t, "mcopy", "-i", v, filepath.Join(files(t, map[string]string{"l": text}), "l"), "::/EFI/boot/"+name)
			}
			d := gptDisk(t, 64, "20 ef00", "30 8300")
			d.put(1, v)
			d.put(21, ext4(t, 30, files(t, map[string]string{"a": "b"})))
			got := run(t, d.path, newStore(t), capture.Options{})
			if !slices.Equal(got.Header.Firmware, c.firmware) {
				t.Errorf("firmware %v; want %v", got.Header.Firmware, c.firmware)
			}
			src, err := diskfile.Open(d.path)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			loaders, err := capture.Loaders(src)
			if err != nil {
				t.Fatal(err)
			}
			if c.arch == "" {
				if len(loaders) != 0 {
					t.Errorf("loaders %+v; want none", loaders)
				}
				return
			}
			if len(loaders) != 1 || loaders[0].Arch != c.arch || loaders[0].Unread != c.unread || (loaders[0].SHA256 != "") != c.chains {
				t.Fatalf("loaders %+v; want one for %s, unread %q", loaders, c.arch, c.unread)
			}
			if c.chains {
				signedByMicrosoft(t, loaders[0])
			}
		})
	}
}

func signedByMicrosoft(t *testing.T, l job.Loader) {
	t.Helper()
	if len(l.Chains) == 0 || len(l.Chains[0]) == 0 {
		t.Fatalf("no chain in %+v", l)
	}
	c, err := x509.ParseCertificate(l.Chains[0][0])
	if err != nil || c.Issuer.CommonName != "Microsoft Corporation UEFI CA 2011" {
		t.Errorf("signed under %v, %v", c.Issuer, err)
	}
}
