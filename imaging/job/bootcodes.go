package job

// The causes for which a machine's start stops, by how far it came. They are rows of the same table as the codes
// of failures: a person reads them the same way, and may say them over the phone.
const (
	// Nothing was heard of it
	BootNoDaemon     Code = "B101"
	BootServerLink   Code = "B102"
	BootDeaf         Code = "B103"
	BootVLAN         Code = "B104"
	BootOrder        Code = "B105"
	BootRelay        Code = "B106"
	Boot8021X        Code = "B107"
	BootSpanningTree Code = "B108"
	BootSilent       Code = "B109"

	// It was heard and fetched nothing
	BootOwnDisk      Code = "B201"
	BootIgnored      Code = "B202"
	BootArch         Code = "B203"
	BootPoolEmpty    Code = "B204"
	BootUnanswered   Code = "B205"
	BootNoRequest    Code = "B206"
	BootOtherDHCP    Code = "B207"
	BootSecondServer Code = "B208"
	BootOptions      Code = "B209"
	BootDeclined     Code = "B210"
	BootNak          Code = "B211"
	BootNotFetched   Code = "B212"

	// It stopped while loading
	BootServerFile Code = "B301"
	BootBrokeOff   Code = "B302"
	BootGaveUp     Code = "B303"
	BootLoop       Code = "B304"
	BootShim       Code = "B305"
	BootImage      Code = "B306"
	BootIPXE       Code = "B307"
	BootGRUB       Code = "B308"
	BootNextServer Code = "B309"
	BootGRUBScript Code = "B310"
	BootNoKernel   Code = "B311"
	BootNoInitrd   Code = "B312"

	// The start system was loaded
	BootNoSign     Code = "B401"
	BootNoLease    Code = "B402"
	BootNotReached Code = "B403"
	BootPin        Code = "B404"
	BootDenied     Code = "B405"
	BootClock      Code = "B406"
	BootStick      Code = "B407"
)

// bootWords are the rows of the boot causes.
var bootWords = map[Code]Words{
	BootNoDaemon:     {"Nothing was heard of this machine, and no daemon runs here: nobody listens.", "Start the daemon, then start the machine again."},
	BootServerLink:   {"The server itself is not on the network.", "Mend the server's own link first: cable, switch port, and the interface named in the configuration."},
	BootDeaf:         {"The server hears nothing at all on its interface, not of this machine and not of any other.", "Check the server's own cable and switch port: it is on another network than the laptops, or on none."},
	BootVLAN:         {"This machine stands in another VLAN than the server: what it sends arrives with a VLAN tag.", "Put its socket and the server's port into the same VLAN, or let the switch relay DHCP to this server."},
	BootOrder:        {"This machine is on the network but does not ask for a network boot.", "In its firmware setup switch network boot (PXE, IPv4) on and put it before the disk, or choose it in the boot menu at power-on: F12 on Lenovo and Dell, F9 on HP."},
	BootRelay:        {"Its request came by a relay of a network that this server is not told to serve.", "Add that network to the configuration (boot.subnets) and start the daemon again."},
	Boot8021X:        {"Nothing was heard of this machine, and this network asks for a login (802.1X) before it lets anything through.", "Use a socket without 802.1X, or let the switch put machines that do not log in into the bench's VLAN."},
	BootSpanningTree: {"The switch held its first packets back (spanning tree), longer than firmware waits.", "Make its switch port an edge port (portfast, \"admin edge\"), or put a small switch without spanning tree between."},
	BootSilent:       {"Nothing was heard of this machine.", "Check in the order below."},

	BootOwnDisk:      {"It was sent to its own disk.", "To image it, open the bench (\"ingot bench open 4h\") or order a job for it, then start it again."},
	BootIgnored:      {"It was not answered.", "Open the bench or register the machine."},
	BootArch:         {"This kind of machine cannot be started yet.", "Use an x64 laptop, or switch its firmware to x64 UEFI or BIOS."},
	BootPoolEmpty:    {"There was no address left for it.", "Make the pool larger or the lease time shorter."},
	BootUnanswered:   {"It asked for a network boot and was not answered.", "Look into the daemon's log: its network has no pool, or the daemon was stopping."},
	BootNoRequest:    {"It was offered a boot file but took no address.", "In proxy mode check that the DHCP server of this network answers and that its pool has room; as DHCP server, that the switch lets our answers through."},
	BootOtherDHCP:    {"Another DHCP server gave this machine its address.", "Stop the other DHCP server, or run the daemon in proxy mode beside it."},
	BootSecondServer: {"A second boot server answered this machine, and it fetched nothing from us.", "Stop the other boot server on this network (WDS, FOG, SCCM, a NAS), or keep the bench on a network of its own."},
	BootOptions:      {"The DHCP server sends boot options of its own, and they won over ours.", "Take the options 66 and 67 off the DHCP server for this network, or name this server and our file there."},
	BootDeclined:     {"It gave its address back, because something else uses it.", "Find the device that uses the address, or move the pool."},
	BootNak:          {"It asked for an address that it cannot have here.", "Start it again; if it stays, look for a second DHCP server."},
	BootNotFetched:   {"It has an address and was told the boot file, but never fetched it.", "Look for a firewall before UDP port 69 (TFTP) or the HTTP port of this server; if there is none, this firmware passes over our offer: use its other boot entry (PXE or HTTP Boot)."},

	BootServerFile: {"The server could not give it a boot file.", "Run \"ingot firmware verify\" on the server and look into its log."},
	BootBrokeOff:   {"The transfer of a boot file broke off.", "Check cable, dongle and switch port, and look for a firewall between that lets the first packet through but not the rest."},
	BootGaveUp:     {"The machine itself broke off the transfer of a boot file.", "Look at its screen, and at its memory: firmware stops when a file does not fit."},
	BootLoop:       {"It fetched its first loader again and again and got no further, so it was sent to its own disk.", "Look at its screen; the loader fails there. It may try again in a few minutes."},
	BootShim:       {"The firmware fetched the boot loader and did not start it: most likely it does not trust Microsoft's certificate for other makers' loaders.", "Allow it in the firmware setup. Lenovo: Security, Secure Boot, \"Allow Microsoft 3rd Party UEFI CA\". Dell: Boot Configuration, Secure Boot, \"Enable Microsoft UEFI CA\". HP: Security, Secure Boot Configuration, \"Enable MS UEFI CA key\". Surface: Security, Secure Boot, \"Microsoft & 3rd-party CA\"."},
	BootImage:      {"The firmware fetched the boot image and no agent came of it.", "This firmware may not start RAM-disk images: use its PXE entry instead. With Secure Boot on, allow Microsoft's 3rd party certificate as for B305."},
	BootIPXE:       {"The BIOS fetched iPXE, and iPXE did not ask for its script.", "Look at its screen: iPXE names the network card that it could not use. No DHCP server may have answered it."},
	BootGRUB:       {"shim fetched GRUB and did not start it.", "The firmware's list of revoked loaders is newer than the boot bundle: run \"ingot firmware build\" on a host with current packages."},
	BootNextServer: {"GRUB was fetched and asked us for nothing more: it asks the server which its DHCP server names.", "Set the next server (option 66) on the DHCP server to this server's address, or lend addresses from a pool of our own (boot.subnets in the configuration)."},
	BootGRUBScript: {"GRUB runs but did not ask for this machine's script.", "Look at its screen: GRUB names the network card that it could not use."},
	BootNoKernel:   {"It received its script and did not fetch the kernel.", "Look at its screen; look for a firewall before the boot ports of the server."},
	BootNoInitrd:   {"The kernel was fetched, the start system (initrd.img) was not.", "Look at its screen: the signature of the kernel may be refused, or the memory is too small."},

	BootNoSign:     {"Kernel and start system were fetched, then nothing was heard.", "Look at its screen: the network card may have no driver or firmware in the boot bundle, the cable may sit in another socket, or the memory is too small."},
	BootNoLease:    {"The start system runs and asks for an address, but got none.", "Check the DHCP server and its pool, and whether the switch port blocks after a restart of the link (spanning tree, port security)."},
	BootNotReached: {"The start system runs and has an address, but it did not reach the daemon.", "Look for a firewall before the agent port (TCP 8443), or a boot bundle of another daemon (run \"ingot firmware build\")."},
	BootPin:        {"The start system reached the daemon and refused its key: it was started by another server, or the daemon's keys were changed since.", "Start it again. If it stays, look for a second Ingot on this network, and whether the data folder was restored or replaced."},
	BootDenied:     {"The start system said Hello and was refused.", "Do what the reason says, then start the machine again."},
	BootClock:      {"The server's clock is wrong or was changed, so what the server knows of times does not fit.", "Set the server's clock (a time service such as chrony keeps it right), then start the machine again."},
	BootStick:      {"A stick started it and it was let in, but its agent did not say Hello.", "Look at its screen, which says what it waits for."},
}
