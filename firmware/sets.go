package firmware

// The choice of modules, as tables. A name with "?" may be absent from a kernel; any other is an error there,
// since a laptop that needs it would stop without a word. Dependencies follow by themselves.

// stage1Modules bring up the wired network, nothing else: GRUB loads them over TFTP.
var stage1Modules = []string{
	// virtual machines
	"virtio_pci", "virtio_net", "vmxnet3",
	// Intel
	"e1000", "e1000e", "igb", "igc",
	// Realtek; the PHY driver is loaded with r8169
	"8139cp", "8139too", "r8169", "realtek",
	// Broadcom
	"tg3", "broadcom",
	// Marvell and Aquantia
	"skge", "sky2", "marvell", "atlantic",
	// Atheros, Killer, JMicron
	"alx", "atl1c", "jme",
	// USB hosts
	"xhci_pci", "?xhci_pci_renesas", "ehci_pci", "ohci_pci", "uhci_hcd",
	// USB adapters and docks, with the PHY drivers that some want
	"r8152", "ax88179_178a", "asix", "ax88796b", "aqc111", "cdc_ether", "cdc_ncm", "cdc_mbim", "?r8153_ecm", "rndis_host",
	"smsc75xx", "smsc95xx", "smsc", "lan78xx", "microchip", "dm9601", "mcs7830", "?ch9200",
	// built in by Debian
	"?af_packet",
}

// stage2Modules are fetched over HTTPS: drives, file systems, keys.
var stage2Modules = []string{
	// drives
	"nvme", "vmd", "ahci", "ata_piix", "ata_generic", "sd_mod", "mmc_block", "sdhci_pci", "sdhci_acpi", "?rtsx_pci_sdmmc", "?rtsx_usb_sdmmc",
	"ufshcd_pci", "usb_storage", "uas", "virtio_blk", "virtio_scsi",
	// file systems; the character sets that a FAT mount asks for by itself
	"ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "xfs", "btrfs", "fuse", "?ntfs3", "efivarfs",
	// keys of a keyboard on USB
	"usbhid", "hid_generic",
}

// stickFolders hold the drivers that a stick has beyond those of stage 1: no TFTP carries it, so it has all wired
// adapters and USB hosts that the kernel knows. A folder that ends on a name in stickSkips is left out: chips of
// switches, whose firmware alone is larger than the stick's content.
var (
	stickFolders = []string{"kernel/drivers/net/ethernet/", "kernel/drivers/net/usb/", "kernel/drivers/net/phy/", "kernel/drivers/net/mdio/",
		"kernel/drivers/usb/host/"}
	stickSkips = []string{"kernel/drivers/net/ethernet/mellanox/mlxsw/", "kernel/drivers/net/ethernet/marvell/prestera/"}
)

// stickModules are single ones that stand elsewhere: adapters of virtual machines, and a cable between two laptops.
var stickModules = []string{"?hv_netvsc", "?xen_netfront", "?thunderbolt_net"}

// firmwarePackages are looked into for the files that the chosen modules ask for, where a source has them.
var firmwarePackages = []string{"firmware-realtek", "firmware-misc-nonfree", "firmware-linux-free"}

// ntfsProgram is the one program of stage 2 that is not ours; the libraries that it needs come with it.
const ntfsProgram = "bin/ntfs-3g"

// requiredPackages hold the files of the bundle; the NTFS library goes by a pattern.
var requiredPackages = []string{"shim-signed", "grub-efi-amd64-signed", "ipxe", "ntfs-3g", "libc6"}

// whole names each file that is taken over as it is.
var whole = []struct{ name, pkg, path string }{
	{Shim, "shim-signed", "usr/lib/shim/shimx64.efi.signed"},
	{Grub, "grub-efi-amd64-signed", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"},
	{Undionly, "ipxe", "usr/lib/ipxe/undionly.kpxe"},
}

// diskGrub is the GRUB of the HTTP Boot image and of sticks: its prefix is (hd0,gpt1)/EFI/debian.
const diskGrub = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
