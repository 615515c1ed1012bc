package e2e

import (
	"context"

	"ingot/cmd/internal/lab"
)

// nextServerCases prove the other way to start a Secure Boot laptop by PXE beside an office's DHCP server: that
// server names us as the next one, and no address is lent.
func nextServerCases() []Case {
	return []Case{{"proxy-next-server", "beside an office's DHCP server that names ours as next server, a Secure Boot laptop starts the agent by PXE without a pool", nil, nextServer}}
}

func nextServer(ctx context.Context, e *Env) error {
	if err := officeDHCP(ctx, e, "--dhcp-boot=,,"+lab.ServerIP); err != nil {
		return err
	}
	d, err := e.StartDaemon(ctx, "--mode", "proxy")
	if err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("bench open 8h")); err != nil {
		return err
	}
	l := Laptop(1, lab.SecureBoot, lab.NVMe)
	_, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	return checks(same("serial", dev.Serial, l.Serial), same("secure boot", dev.SecureBoot, true), bootLogEndsInHello(ctx, d, l))
}
