#!/bin/sh
# Makes the next version of an office disk, twice: upgraded in place, and with the same files in a fresh file system,
# as when a reference machine is built anew. Runs as root in a mount namespace of its own.
#
#   DISK       a copy of the first version's disk: it becomes the upgraded one
#   ROOT_AT, ROOT_SIZE   where its root file system lies, in bytes
#   ESP        a copy of its EFI partition, a file: it gets the new kernel
#   REBUILT    the root file system to make
#   MIRROR, SECURITY     Debian archives, taken from the host's own apt sources; SECURITY may be empty
#   ADD, REMOVE          packages that come and go
#   WORK       a folder for the mount and the log
#   STATE      the file that is told what was in both versions
set -eu
say() { echo "dedup: $*"; }
mnt=$WORK/mnt
inside() { chroot "$mnt" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
packages() { inside dpkg-query -W | sort; }
digest() { sha256sum | cut -c1-12; }

mkdir -p "$mnt"
loop=$(losetup -f --show --offset "$ROOT_AT" --sizelimit "$ROOT_SIZE" "$DISK")
mount -o noatime "$loop" "$mnt" || { losetup -d "$loop"; exit 1; }
losetup -d "$loop" # it goes with its last user, the mount
packages >"$WORK/before"

say "upgrade in place"
{
    echo "deb $MIRROR bookworm main"
    echo "deb $MIRROR bookworm-updates main"
    if [ -n "$SECURITY" ]; then echo "deb $SECURITY bookworm-security main"; fi
} >"$mnt/etc/apt/sources.list"
printf '#!/bin/sh\nexit 101\n' >"$mnt/usr/sbin/policy-rc.d"
chmod 755 "$mnt/usr/sbin/policy-rc.d"
echo force-unsafe-io >"$mnt/etc/dpkg/dpkg.cfg.d/dedup"
cp /etc/resolv.conf "$mnt/etc/resolv.conf"
mount -t proc proc "$mnt/proc"
mount -t tmpfs none "$mnt/var/cache/apt/archives"
mkdir "$mnt/var/cache/apt/archives/partial"
{
    inside apt-get -qq update
    inside apt-get -qq dist-upgrade -y
    # shellcheck disable=SC2086 # the lists are split on purpose
    inside apt-get -qq install -y --no-install-recommends $ADD
    # shellcheck disable=SC2086
    inside apt-get -qq purge -y $REMOVE
    inside apt-get -qq autoremove -y --purge
} >"$WORK/log" 2>&1
umount "$mnt/var/cache/apt/archives" "$mnt/proc"
rm -f "$mnt/usr/sbin/policy-rc.d" "$mnt/etc/dpkg/dpkg.cfg.d/dedup"

# Logs that turned over.
for i in $(seq 1 40); do seq $((i * 1000)) $((i * 1000 + 20000)) | sed 's/^/Nov 22 host daemon[1]: event /' >"$mnt/var/log/syslog.$i"; done

packages >"$WORK/after"
{
    echo "v1 of $(wc -l <"$WORK/before") packages, $(digest <"$WORK/before"); v2 of $(wc -l <"$WORK/after"), $(digest <"$WORK/after"), $(comm -13 "$WORK/before" "$WORK/after" | wc -l) of them new"
} >"$STATE"

say "the same files in a fresh file system"
mcopy -o -i "$ESP" "$mnt"/boot/*-amd64 ::/EFI/debian/
mkfs.ext4 -q -F -b 4096 -L root -d "$mnt" "$REBUILT" $((ROOT_SIZE / 4096)) # a golden disk is trimmed when it is captured
fstrim "$mnt"
umount "$mnt"
