package cmd_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"ingot/cmd/internal/browser"
)

// TestNothingIsSkippedForWantOfAProgram: a test whose program is missing is skipped, so that "go test" works anywhere.
// "make test" has installed what is needed and says so by INGOT_TOOLS; then a missing program is a missing line of
// scripts/install, which a green run would hide.
func TestNothingIsSkippedForWantOfAProgram(t *testing.T) {
	if os.Getenv("INGOT_TOOLS") == "" {
		t.Skip("nobody said that scripts/install has run: make test does")
	}
	for _, program := range []string{
		"chromium", "cpio", "cryptsetup", "curl", "debugfs", "dpkg-deb", "dumpe2fs", "e2fsck", "fsck.vfat", "hivexget", "hivexregedit", "man", "mcopy", "mdel",
		"mdeltree", "mkfs.ext4", "mkfs.ntfs", "mkfs.vfat", "mkswap", "mmd", "mtype", "ntfs-3g", "ntfscat", "ntfscluster", "ntfscp", "ntfsfix", "ntfsinfo",
		"partclone.extfs", "partclone.fat", "partclone.ntfs", "pdftoppm", "pdftotext", "python3", "qemu-img", "qemu-io", "rpm", "rpmbuild", "sfdisk", "sgdisk", "sqlite3",
		"ssh-keygen", "tftp", "zbarimg", "zstd",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Errorf("%v: name its package in scripts/install", err)
		}
	}
	if err := browser.Missing(); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("python3", "-c", "import json, struct, zlib").CombinedOutput(); err != nil {
		t.Errorf("python3 without its library: %v\n%s", err, out)
	}
}

// TestTheInstalledAxeIsTheOneThatIsAsked: the version stands in the script that fetches it, and where it is used.
func TestTheInstalledAxeIsTheOneThatIsAsked(t *testing.T) {
	b, err := os.ReadFile("../scripts/install")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "\naxe="+browser.AxeVersion+"\n") {
		t.Errorf("scripts/install does not fetch axe-core %s", browser.AxeVersion)
	}
}
