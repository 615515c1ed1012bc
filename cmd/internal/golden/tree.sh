#!/bin/sh
# Makes the root file tree of a golden machine: Debian 12 with systemd, as a reference laptop would hold it
# after "generalising". Runs as root in its own mount namespace (golden.go unshares it), so nothing that it
# mounts outlives it.
#
#   MIRROR    a Debian archive, taken from the host's own apt sources
#   SECURITY  a Debian security archive, or empty
#   TREE      the folder to fill; must not exist
#   BOOT      the folder that receives the unpacked boot loader packages (they are not installed in the tree)
#   FLAVOUR   plain | desktop (NetworkManager and cloud-init) | swap (plain, with a swap partition at the end)
#   HOST      the golden machine's own host name, which no deployed laptop may keep
#   ROOT_UUID, ESP_UUID, SWAP_UUID  file systems' identities, for fstab
set -eu
say() { echo "golden: $*"; }
inside() { chroot "$TREE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

base() {
    say "base system (debootstrap)"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$TREE" "$MIRROR" >"$TREE.log" 2>&1
    {
        echo "deb $MIRROR bookworm main"
        echo "deb $MIRROR bookworm-updates main"
        if [ -n "$SECURITY" ]; then echo "deb $SECURITY bookworm-security main"; fi
    } >"$TREE/etc/apt/sources.list"
    mount -t proc proc "$TREE/proc"
    mount -t sysfs -o ro sysfs "$TREE/sys"
    cp /etc/resolv.conf "$TREE/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$TREE/usr/sbin/policy-rc.d"
    chmod 755 "$TREE/usr/sbin/policy-rc.d"
}

# What a laptop of this lab never needs is left out while unpacking, by dpkg's own rule: it halves the image.
slim() {
    cat >"$TREE/etc/dpkg/dpkg.cfg.d/lab" <<'END'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/lib/modules/*/kernel/sound/*
path-exclude=/lib/modules/*/kernel/drivers/gpu/*
path-exclude=/lib/modules/*/kernel/drivers/media/*
path-exclude=/lib/modules/*/kernel/drivers/staging/*
path-exclude=/lib/modules/*/kernel/drivers/infiniband/*
path-exclude=/lib/modules/*/kernel/drivers/isdn/*
path-exclude=/lib/modules/*/kernel/drivers/iio/*
path-exclude=/lib/modules/*/kernel/drivers/scsi/*/*
path-exclude=/lib/modules/*/kernel/drivers/net/wireless/*
path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/mellanox/*
path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/netronome/*
path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/qlogic/*
path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/chelsio/*
path-exclude=/lib/modules/*/kernel/net/*/netfilter/*
END
    rm -rf "$TREE"/usr/share/doc/* "$TREE"/usr/share/man/* "$TREE"/usr/share/locale/*
}

# A small initramfs starts quickly on an emulated CPU; the list covers every drive that the lab can fit.
initramfs() {
    mkdir -p "$TREE/etc/initramfs-tools/conf.d" "$TREE/usr/share/initramfs-tools/modules.d"
    printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$TREE/etc/initramfs-tools/conf.d/lab"
    printf '%s\n' nvme ahci sd_mod virtio_pci virtio_blk virtio_scsi ext4 crc32c_generic crc32c_intel >"$TREE/usr/share/initramfs-tools/modules.d/lab"
}

# Installing systemd-resolved takes the chroot's resolver away, so that everything comes in one call.
packages() {
    say "packages and kernel ($FLAVOUR)"
    set -- linux-image-amd64 systemd-sysv systemd-resolved dbus udev kmod iproute2 openssh-server initramfs-tools zstd e2fsprogs fdisk login
    case $FLAVOUR in
    desktop) set -- "$@" network-manager cloud-init ;;
    esac
    inside apt-get -qq install -y --no-install-recommends "$@" >>"$TREE.log" 2>&1
}

bootloaders() {
    say "boot loaders"
    mkdir -p "$TREE/tmp/debs" "$BOOT"
    inside apt-get -qq update >>"$TREE.log" 2>&1
    inside sh -c 'cd /tmp/debs && apt-get -qq -o APT::Sandbox::User=root download shim-signed shim-signed-common grub-efi-amd64-signed grub-pc-bin' >>"$TREE.log" 2>&1
    for deb in "$TREE"/tmp/debs/*.deb; do dpkg-deb -x "$deb" "$BOOT"; done
    rm -rf "$TREE/tmp/debs"
}

settings() {
    echo "$HOST" >"$TREE/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n' "$HOST" >"$TREE/etc/hosts"
    {
        echo "UUID=$ROOT_UUID / ext4 errors=remount-ro 0 1"
        echo "UUID=$ESP_UUID /boot/efi vfat umask=0077,nofail 0 1"
        if [ -n "$SWAP_UUID" ]; then echo "UUID=$SWAP_UUID none swap sw,nofail 0 0"; fi
    } >"$TREE/etc/fstab"
    mkdir -p "$TREE/boot/efi" "$TREE/boot/grub"
    case $FLAVOUR in
    desktop)
        printf '[main]\nplugins=keyfile\n[ifupdown]\nmanaged=false\n' >"$TREE/etc/NetworkManager/conf.d/lab.conf"
        printf 'datasource_list: [ NoCloud, None ]\n' >"$TREE/etc/cloud/cloud.cfg.d/90_lab.cfg"
        ;;
    *)
        printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$TREE/etc/systemd/network/20-wired.network"
        inside systemctl -q enable systemd-networkd
        ;;
    esac
    inside systemctl -q enable systemd-resolved
    inside systemctl -q mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer man-db.timer dpkg-db-backup.timer
    # The lab's password stands on purpose in a public file: this image is for the lab only.
    echo 'root:ingot' | inside chpasswd
    # GRUB's own menu: both boot loaders read this file.
    local_kernel=$(cd "$TREE/boot" && ls vmlinuz-* | tail -1)
    local_initrd=$(cd "$TREE/boot" && ls initrd.img-* | tail -1)
    cat >"$TREE/boot/grub/grub.cfg" <<END
set timeout=0
search --no-floppy --fs-uuid --set=root $ROOT_UUID
menuentry "Debian" {
    linux /boot/$local_kernel root=UUID=$ROOT_UUID ro console=tty0 console=ttyS0,115200 quiet net.ifnames=0
    initrd /boot/$local_initrd
}
END
}

# generalise removes what must differ between two laptops made of one image, and what only building needed.
generalise() {
    say "generalise"
    inside apt-get -qq clean
    rm -rf "$TREE"/var/lib/apt/lists/* "$TREE"/var/cache/apt/*.bin "$TREE"/var/log/*.log "$TREE"/var/log/apt
    rm -f "$TREE/usr/sbin/policy-rc.d" "$TREE/etc/dpkg/dpkg.cfg.d/lab"
    : >"$TREE/etc/machine-id"
    rm -f "$TREE/var/lib/dbus/machine-id" "$TREE/etc/resolv.conf"
    ln -s ../run/systemd/resolve/stub-resolv.conf "$TREE/etc/resolv.conf"
    umount "$TREE/proc" "$TREE/sys"
}

base
slim
bootloaders
initramfs
packages
settings
generalise
say "tree ready: $(du -sm "$TREE" | cut -f1) MB"
