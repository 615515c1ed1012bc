package e2e

import (
	"fmt"

	"ingot/cmd/internal/lab"
)

const gib = 1 << 30

// Laptop is number n of the lab's fleet: each number has a serial, an UUID and a MAC of its own.
func Laptop(n int, fw lab.Firmware, bus lab.Bus) *lab.Laptop {
	return &lab.Laptop{
		Name:         fmt.Sprintf("laptop%d", n),
		Firmware:     fw,
		MAC:          fmt.Sprintf("52:54:00:aa:00:%02x", n),
		Serial:       fmt.Sprintf("PF3LAB%02d", n),
		UUID:         fmt.Sprintf("4c4c4544-0042-3510-8052-b4c04f5631%02x", n),
		Manufacturer: "LabCo",
		Model:        "Lap 9",
		AssetTag:     fmt.Sprintf("A-10%02d", n),
		Drives:       []*lab.Drive{{Bus: bus, Serial: fmt.Sprintf("S4EVNX0N%02d", n), Size: 6 * gib}},
	}
}
