// Package pxe carries a bare machine from power-on to the running agent.
//
// The idea: a machine's firmware asks the network four questions in turn, and each answer names the next
// place to ask. What to answer is decided once, from the firmware's own words, by pure functions; the rest of
// the package is one file a leg that puts the decision on the wire.
//
//	firmware                         leg, file                     what it gets
//	DHCPDISCOVER, :67                dhcp.go  (offer.go decides)   a boot file name and where it lies
//	DHCPREQUEST to :4011             proxy.go                      the same, for firmware that insists
//	TFTP read, :69                   tftp.go                       shim, GRUB, its configuration, kernel, initramfs; or undionly.kpxe
//	HTTP GET, :80                    http.go                       iPXE's script and files; the RAM-disk image of UEFI HTTP Boot
//
//	BIOS, no iPXE    undionly.kpxe (TFTP) -> iPXE
//	iPXE             /boot.ipxe (HTTP)    -> vmlinuz, initrd.img (HTTP)
//	UEFI x64         shimx64.efi (TFTP)   -> grubx64.efi -> /grub/grub.cfg -> /grub/by-mac/MAC -> vmlinuz, initrd.img (TFTP)
//	UEFI HTTP Boot   /httpboot/MAC/ingot.img (HTTP), the same signed chain inside
//
// A boot stick passes none of these legs; its GRUB configuration is made here (stick.go), and its agent asks the daemon
// itself whether it may start.
//
// Two ways to answer. As a proxy (the default) we stand beside a DHCP server that knows nothing of booting:
// it gives the address, we give the boot file, and we never give an address. As a full DHCP server we give
// both, from a pool whose leases are durable before they are acknowledged.
//
// A proxy has one gap: the signed GRUB 2.06 takes its TFTP server from the DHCP server's acknowledgement and not
// from a proxy's offer. So for UEFI PXE either the DHCP server names us as the next server (option 66), or a
// few addresses are lent to the firmware from a pool of our own (Subnet). HTTP Boot and iPXE need neither.
//
// Whether a machine boots at all is the Director's word: Boot; Refuse, which names a boot file that is not
// there, so that the firmware goes on to its own disk within seconds and runs no byte of ours; or Ignore,
// which is silence. The word is asked for again at every file, by TFTP and HTTP too: who asks is known by the
// address, through what DHCP saw or the kernel's neighbour table, and a machine that may not boot is told that
// there is no such file, whatever it asks for. A script or boot image that is made for one machine goes to that
// machine only. Every leg is told to the Recorder; Diagnose reads the events back and says as a row of
// the table of codes where a start stopped and what to check. Where nothing arrived it goes by the Surroundings: each
// link has an ear, a packet socket that answers nobody and hears broadcasts: who is there at all, VLAN tags, 802.1X,
// spanning tree, and other servers that offer boot files.
//
// Interfaces come and go. station.go follows each configured one by the kernel's word (facts.go decides what becomes
// of it): what is open on a card that is pulled is closed, and opened anew when it comes back, under whatever index
// and address. Nothing that names our address outlives it. A full DHCP server looks for another one before it opens
// again, for the card may have come back in another network. Times in memory count by the monotonic clock: a clock
// that is set ends no lease and makes nobody a loop.
//
// Everything that arrives here is hostile: requests are parsed within bounds into a Request, names are looked
// up in a fixed list and never in a folder, tables are bounded, answers are limited per machine and in all.
// Only public bytes are served, and to machines that boot only (stage 2, drivers on the agent's port, is public to
// all); the boot token in a script names a boot and authenticates nobody.
//
// Why always broadcast: a machine without an address cannot answer ARP, so a reply to it goes to
// 255.255.255.255 whatever its broadcast flag says; relayed requests go back to the relay. Why an own lock:
// the DHCP library opens its port so that a second program may share it without an error, and two servers
// that each see half of the packets are worse than none.
package pxe
