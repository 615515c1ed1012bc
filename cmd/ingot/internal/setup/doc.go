// Package setup decides what "ingot setup" writes: on which adapter laptops are answered, beside a DHCP server or as
// one, and which addresses Ingot may lend. It looks at the host and decides; whoever calls it asks the person and does.
//
//	nics, _ := setup.Wired("/sys/class/net")   // wired adapters, the likeliest bench first
//	mode := setup.Mode(server)                 // proxy when a DHCP server answered on it, else dhcp
//	first, last, ok := setup.Pool(nic.Net)     // what a DHCP server of our own would give
package setup
