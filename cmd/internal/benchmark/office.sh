#!/bin/sh
# Makes the file tree of an office laptop: Debian 12 with a desktop, as a helpdesk would capture it. Runs as root
# in a mount namespace of its own, so that nothing that it mounts outlives it.
#
#   MIRROR    a Debian archive, taken from the host's own apt sources
#   TREE      the folder to fill; must not exist
#   PACKAGES  what the set holds beside the base system
set -eu
say() { echo "office: $*"; }
inside() { chroot "$TREE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

say "base system (debootstrap)"
debootstrap --variant=minbase --include=ca-certificates bookworm "$TREE" "$MIRROR" >"$TREE.log" 2>&1
echo "deb $MIRROR bookworm main" >"$TREE/etc/apt/sources.list"
echo force-unsafe-io >"$TREE/etc/dpkg/dpkg.cfg.d/office"
mount -t proc proc "$TREE/proc"
cp /etc/resolv.conf "$TREE/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$TREE/usr/sbin/policy-rc.d"
chmod 755 "$TREE/usr/sbin/policy-rc.d"

say "packages"
inside apt-get -qq update >>"$TREE.log" 2>&1
# shellcheck disable=SC2086 # the list is split on purpose
inside apt-get -qq install -y --no-install-recommends $PACKAGES >>"$TREE.log" 2>&1
inside apt-get -qq clean
rm -f "$TREE/usr/sbin/policy-rc.d" "$TREE/etc/dpkg/dpkg.cfg.d/office"
umount "$TREE/proc"
say "tree ready: $(du -sm "$TREE" | cut -f1) MB"
