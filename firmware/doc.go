// Package firmware makes and serves what a bare machine runs before it has an operating system: the boot bundle.
//
// The idea: nothing that boots is ours except the agent. Shim, GRUB, iPXE, the kernel and its modules are taken
// out of the distribution's packages byte for byte, so that their signatures hold and Secure Boot stays on. The
// packages are downloaded and unpacked into the data folder, never installed, and no binary stands in git.
//
//	DATA/boot/
//	  current -> bundle-3f0c...     switched by one rename; older ones are kept while a job or a start uses them
//	  bundle-3f0c.../               named by the SHA-256 of its bundle.json
//	    bundle.json                 every file, where it came from, its size and SHA-256
//	    shimx64.efi  grubx64.efi    the signed chain for UEFI PXE (grubx64.efi is the netboot GRUB)
//	    undionly.kpxe               iPXE for BIOS
//	    vmlinuz  initrd.img         the kernel and stage 1: the agent and the network modules
//	    stage2.cpio.zst             drives, file systems, ntfs-3g: fetched by the agent over HTTPS
//	    httpboot.img                a disk for UEFI HTTP Boot: the same chain on a FAT32 EFI partition
//	    grubdisk.efi initrd-usb.img what a stick has in their place: the GRUB for disks, and both stages in one
//	  debs/                         the packages as downloaded
//
// Why two stages: under Secure Boot the signed GRUB loads by TFTP in blocks of 1 KiB, so what it loads is kept
// small; the agent fetches the rest at the network's speed and checks it by digest.
//
// Why the image is written here, without mkfs or mount: it needs no root, and the same input gives the same
// bytes. Equal bundles are the only proof that a bundle is what its sources say. So no time, no random number
// and no folder order enters any file.
//
// Modules stay as shipped, compressed ones too: their signature covers the bytes. The lists that a module
// loader reads (modules.dep, modules.alias, modules.softdep) are made from the modules' own .modinfo sections.
package firmware
