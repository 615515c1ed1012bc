package e2e

import "ingot/cmd/internal/lab"

// Daemon is a running ingot daemon under test.
type Daemon struct {
	Proc *lab.Process
}

func (e *Env) stopDaemons() error { return nil }
