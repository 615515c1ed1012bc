// Package lab makes virtual laptops on a virtual bench, for the end-to-end tests and the demonstration.
//
// The idea: a bench is a switch, a server and laptops. Here the switch is a Linux bridge in a network
// namespace of its own, the server is whatever runs in that namespace, and a laptop is a QEMU machine with the
// firmware that real laptops have: SeaBIOS, OVMF, OVMF with Microsoft's keys and Secure Boot on. Nothing is
// faked below the firmware: laptops find the server by DHCP as hardware does.
//
//	Enter      runs the program again inside fresh network, mount and process namespaces
//	Bench      the bridge, router advertisements, further hosts in namespaces of their own
//	Laptop     hardware that persists: drives, firmware variables, TPM state; PowerOn gives a Run
//	Run        one time between power on and off: console, screen, cable, power
//
// Leaving nothing behind is the kernel's work, not ours: every process that the lab starts lives in the
// process namespace that Enter made, so the end of the lab, by whatever means, ends them, and with the last of
// them the bridge and the taps vanish. Only files remain, in a folder under the cache; the next run removes
// those whose owner is gone (Workspace).
//
// The processor is emulated (TCG) and this is asked for explicitly, so that a test is as slow everywhere. No
// function here judges by elapsed time: they wait for what they are told to see until their context ends.
package lab
