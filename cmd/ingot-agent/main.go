// Ingot-agent is the whole user space of the boot environment, and the first-boot program of a deployed system.
//
// As /init it is process 1 and does what no other program is there to do: it mounts the kernel's file systems,
// starts itself once more as the worker, reaps what is left over, and shows a failure and resets when the worker
// ends in any way but its own reset. The worker loads modules by what the hardware calls itself, brings up every
// wired network adapter, finds the daemon, draws the screen, and then follows the list of package imaging/agent.
//
//	/init                          process 1
//	ingot-agent worker             the worker, started by process 1
//	ingot-agent -q -- NAME         what the kernel calls to have a module loaded (/proc/sys/kernel/modprobe)
//	ingot-agent firstboot keys     in the deployed system: SSH host keys, before sshd
//	ingot-agent firstboot call     in the deployed system: report the observed name, then remove itself
//
// The kernel command line carries ingot.url, ingot.pin, ingot.token and optionally ingot.debug; a stick's carries
// ingot.usb in place of a token. F2 or l shows the
// log of this start; there is no shell.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/firstboot"
	"ingot/cmd/ingot-agent/internal/kmod"
)

// version is set by the build; Hello carries it.
var version = "development"

func main() {
	switch args := os.Args[1:]; {
	case os.Getpid() == 1:
		runInit()
	case len(args) == 1 && args[0] == "worker":
		os.Exit(runWorker())
	case len(args) >= 2 && args[0] == "-q":
		os.Exit(runModprobe(args[len(args)-1]))
	case len(args) == 2 && args[0] == "firstboot":
		os.Exit(runFirstboot(args[1]))
	default:
		fmt.Fprintln(os.Stderr, "ingot-agent starts a laptop from the network; it is not meant to be called by hand.")
		os.Exit(2)
	}
}

// runModprobe serves the kernel's own wishes: a file system at mount, a cipher, a character set.
func runModprobe(name string) int {
	dir, err := modulesDir()
	if err != nil {
		return 1
	}
	l := kmod.Loader{Dir: dir}
	if l.Refresh() != nil {
		return 1
	}
	if l.Load(name) != nil && l.LoadAlias(name) != nil {
		return 1
	}
	return 0
}

// runFirstboot always ends well for its unit; what happened stands in the journal.
func runFirstboot(what string) int {
	log := zerolog.New(plainWriter{os.Stdout}).Level(zerolog.InfoLevel)
	self, err := os.Executable()
	if err != nil {
		log.Error().Err(err).Msg("this program does not know where it is")
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := firstboot.System{Root: "/", Home: filepath.Dir(self), Hostname: os.Hostname, Now: time.Now, Log: log, First: 2 * time.Second, Longest: 5 * time.Minute}
	switch what {
	case "keys":
		err = s.Keys(ctx, "/usr/bin/ssh-keygen")
	case "call":
		err = s.Call(ctx)
	default:
		fmt.Fprintf(os.Stderr, "unknown first-boot step %q\n", what)
		return 2
	}
	if err != nil && ctx.Err() == nil {
		log.Error().Err(err).Msg("the first boot did not go to its end")
	}
	return 0
}
