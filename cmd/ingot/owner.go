package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// forVar names the operator to a process that has given root's rights up.
const forVar = "INGOT_OPERATOR"

// asOwner makes root work in a data folder as the folder's owner. The service has a user of its own; a file that
// root made in its folder would be one that the service cannot open. The program starts anew under that user, in the
// same process and with the same arguments, and keeps only the rights to open low ports and packet sockets. It
// returns when there is nothing to give up.
func (a *app) asOwner(data string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := ownerOf(data)
	if err != nil || uid == 0 {
		return err
	}
	// By its descriptor, since the folder that holds the program may be closed to the new user.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	defer self.Close()
	env := os.Environ()
	if name := operatorName(0, os.Getenv("SUDO_USER")); name != "" {
		env = append(env, forVar+"="+name)
	}
	err = become(uid, gid, func() error {
		return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", self.Fd()), os.Args, env)
	})
	return errors.Join(err, job.Faultf(job.CodeDaemon, "Root could not hand over to the owner of %s.", data))
}

// ownerOf is who owns a data folder, or, while there is none, root.
func ownerOf(data string) (uid, gid int, err error) {
	fi, err := os.Stat(data)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("data folder: %w", err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("data folder %s: its owner is not known", filepath.Clean(data))
	}
	return int(st.Uid), int(st.Gid), nil
}

// keptRights are what a daemon needs beyond its user's rights.
var keptRights = []uintptr{unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW}

// become gives this thread another user and calls exec, which makes the thread the whole process. It returns only
// when something failed; the program must end then.
func become(uid, gid int, exec func() error) error {
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&hdr, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	var keep uint32
	for _, c := range keptRights {
		keep |= 1 << c & caps[0].Permitted // in a container root may lack them
	}
	group := uint32(gid)
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&group))},
		{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1},
		{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("become user %d: %w", uid, errno)
		}
	}
	caps = [2]unix.CapUserData{{Effective: keep, Permitted: keep, Inheritable: keep}}
	if err := unix.Capset(&hdr, &caps[0]); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	for _, c := range keptRights {
		if keep&(1<<c) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return fmt.Errorf("keep capabilities: %w", err)
		}
	}
	return exec()
}
