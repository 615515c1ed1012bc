// Package nstest lets a test run in Linux namespaces of its own: where it may mount file systems that are full after a
// few megabytes, or open a server's ports and links, and harms nobody. A plain user gets a user namespace around it.
package nstest

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// within is set for the run inside.
const within = "INGOT_TEST_NAMESPACE"

// Inside runs the calling test again in new namespaces, CLONE_NEWNS, CLONE_NEWNET or both. It reports true in there; in
// the outer run it reports false when the inner one has ended: the caller is done, and fails or is skipped as that one
// was. Where no namespace can be made the test is skipped, and says so.
func Inside(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(within) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=9m") // a busy machine may take minutes
	cmd.Env = append(os.Environ(), within+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		t.Skipf("SKIPPED: no namespace can be made here (%v)", err)
	case err != nil:
		t.Fatalf("in the namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()+" "):
		t.Skipf("SKIPPED in the namespace:\n%s", out)
	}
	t.Logf("%s", out)
	return false
}

// SmallDisk mounts a tmpfs of a size such as "12m" and gives its folder. It must be called inside a mount namespace.
func SmallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	Private(t)
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// Private keeps what is mounted from now on inside.
func Private(t *testing.T) {
	t.Helper()
	if os.Getenv(within) == "" {
		t.Fatal("this would mount outside of a namespace")
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}
