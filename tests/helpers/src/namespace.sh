# Sets the stage in fresh mount and pid namespaces, then becomes their init.
# Usage: sh -c THIS namespace INIT ETC RUN
#
# /run is empty but for RUN, which lies over /run/swift; ETC lies over /etc/swift. A machine without an
# /etc/swift gets an /etc of links, since a mount needs a place to lie on.
set -eu
init=$1 etc=$2 run=$3

mkdir -p "$etc" "$run"
mount -t tmpfs tmpfs /run
mkdir /run/swift
mount --bind "$run" /run/swift

if ! [ -d /etc/swift ]; then
    mkdir /run/etc
    mount --bind /etc /run/etc
    mount -t tmpfs -o mode=755 tmpfs /etc
    for entry in /run/etc/* /run/etc/.[!.]*; do
        ln -s "$entry" /etc/
    done
    mkdir /etc/swift
fi
mount --bind "$etc" /etc/swift

exec "$init"
