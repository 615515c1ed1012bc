package lab

import (
	"context"
	"fmt"
)

// USBCard is a network adapter on a USB plug, with its cable in a switch. It may be pulled and plugged in while the
// computer runs.
type USBCard struct {
	MAC string

	tap string
}

// AddUSBCard puts an adapter's cable into a switch.
func (b *Bench) AddUSBCard(ctx context.Context, segment, mac string) (*USBCard, error) {
	tap, err := b.tap(ctx, segment)
	if err != nil {
		return nil, fmt.Errorf("connect the USB card %s: %w", mac, err)
	}
	return &USBCard{MAC: mac, tap: tap}, nil
}

func (c *USBCard) id() string { return "usb" + c.tap }

// args connects the cable, and plugs the adapter in. The cable's end stays when the adapter is pulled.
func (c *USBCard) args() []string {
	return []string{"-netdev", fmt.Sprintf("tap,id=n%s,ifname=%s,script=no,downscript=no", c.id(), c.tap),
		"-device", fmt.Sprintf("usb-net,bus=xhci.0,id=%s,netdev=n%s,mac=%s", c.id(), c.id(), c.MAC)}
}

// Unplug pulls an adapter.
func (r *Run) Unplug(c *USBCard) error {
	_, err := r.monitor.do("device_del", map[string]any{"id": c.id()})
	return err
}

// Plug puts an adapter in that was pulled.
func (r *Run) Plug(c *USBCard) error {
	_, err := r.monitor.do("device_add", map[string]any{"driver": "usb-net", "bus": "xhci.0", "id": c.id(), "netdev": "n" + c.id(), "mac": c.MAC})
	return err
}
