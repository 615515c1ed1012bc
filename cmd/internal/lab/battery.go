package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// plugPort is the I/O port that the laptop's ACPI reads to learn whether it is plugged in. QEMU's pc-testdev keeps a
// byte there, and the lab writes it from outside while the laptop runs.
const plugPort = 0xe0

// powerTable is the ACPI description of a charger and a battery: what a real laptop's firmware has. The kernel's own
// drivers, ac and battery, run its methods; nothing above them knows that it is a lab.
const powerTable = `DefinitionBlock ("", "SSDT", 2, "INGOT ", "LABPOWER", 1)
{
    Scope (\_SB)
    {
        OperationRegion (LABP, SystemIO, %#x, 1)
        Field (LABP, ByteAcc, NoLock, Preserve) { PLUG, 8 }
        Device (ADP1)
        {
            Name (_HID, "ACPI0003")
            Name (_PCL, Package () { \_SB })
            Method (_PSR, 0, Serialized) { If (LEqual (PLUG, Zero)) { Return (Zero) } Return (One) }
        }
        Device (BAT0)
        {
            Name (_HID, EisaId ("PNP0C0A"))
            Name (_UID, One)
            Name (_PCL, Package () { \_SB })
            Method (_STA, 0) { Return (0x1F) }
            Name (_BIF, Package () { One, 5000, 5000, One, 11100, 500, 250, 1, 1, "LABBAT", "0001", "LION", "LabCo" })
            Name (BST, Package () { One, 500, %d, 11100 })
            Method (_BST, 0, Serialized)
            {
                If (LEqual (PLUG, Zero)) { Store (One, Index (BST, Zero)) } Else { Store (0x02, Index (BST, Zero)) }
                Return (BST)
            }
        }
    }
}
`

// battery gives QEMU's arguments for a laptop with a battery, not plugged in.
func (l *Laptop) battery(ctx context.Context) ([]string, error) {
	if l.Battery == 0 {
		return nil, nil
	}
	source, table := filepath.Join(l.dir, "power.asl"), filepath.Join(l.dir, "power.aml")
	if err := os.WriteFile(source, fmt.Appendf(nil, powerTable, plugPort, 50*l.Battery), 0o644); err != nil {
		return nil, err
	}
	if _, err := Command(ctx, "iasl", "-p", table, source); err != nil {
		return nil, fmt.Errorf("make the battery's ACPI table: %w", err)
	}
	return []string{"-acpitable", "file=" + table, "-device", "pc-testdev",
		"-qtest", "unix:" + l.socket("qtest") + ",server=on,wait=off", "-qtest-log", "/dev/null"}, nil
}

// Charger plugs the charger in or out of a laptop that has a battery.
func (r *Run) Charger(in bool) error {
	conn, err := net.Dial("unix", r.laptop.socket("qtest"))
	if err != nil {
		return fmt.Errorf("reach the charger: %w", err)
	}
	defer conn.Close()
	value := 0
	if in {
		value = 1
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "outb %#x %d\n", plugPort, value); err != nil {
		return fmt.Errorf("move the charger: %w", err)
	}
	answer := make([]byte, 16)
	n, err := conn.Read(answer)
	if err != nil || string(answer[:n]) != "OK\n" {
		return fmt.Errorf("move the charger: QEMU answers %q, %v", answer[:n], err)
	}
	return nil
}
