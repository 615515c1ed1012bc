// Package efivar reads and writes UEFI variables, and decides what a drive's boot entry should be.
//
// The idea: Linux shows each variable as a file NAME-VENDORGUID under /sys/firmware/efi/efivars, whose first
// four bytes are the attributes (UEFI 2.10, section 8.2). One write(2) sets the variable, and the kernel guards
// most files by the immutable flag, which a writer first takes off. The boot menu is such variables: Boot0003
// holds a load option (attributes, description, device path, optional data), BootOrder the numbers in order,
// BootNext the number for the next start only.
//
// Deciding and doing are apart: PlanBoot is a pure function from what the firmware holds and what is wanted to
// a list of steps, Vars.Apply carries them out and reads each back. Writing the same value again is left out:
// the flash behind the variables wears.
//
// Vars works on any directory, so a test needs no firmware.
package efivar
