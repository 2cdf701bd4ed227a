#!/usr/bin/env python3
"""A small real Swift of one's own: makes it, says what runs in it, and clears it away.

    lab.py create [DIR]     prints the directory; without DIR one is made where objects can be kept
    lab.py processes DIR    prints the pid of every process inside the laboratory
    lab.py remove DIR       ends those processes and removes the directory

Run `create` with the Python of the virtual environment that setup-venv makes, since the rings are built
by Swift's own code; any other command with Python 3.9 or later. Nothing is started here:
`enter DIR swift-init main start` does that.

DIR/lab.env says KEY=value, for shells and tests:

    LAB_DIR LAB_ETC LAB_RUN LAB_DEVICES     paths
    LAB_URL                                 where the proxy answers

Each laboratory has a loopback address of its own (127.X.Y.Z), so that all can use Swift's usual ports,
which lie below those that the kernel gives to clients: no client's port is ever in a server's way.
"""

import os
import pwd
import random
import re
import select
import shutil
import signal
import socket
import sys
import tempfile
import time

PORTS = {"proxy": 8080, "object": 6200, "container": 6201, "account": 6202}
DISKS = ["disk1", "disk2", "disk3"]

# Two workers for the proxy, to tell one worker from all; one for the others, to start quickly.
DEFAULTS = """\
[DEFAULT]
user = {user}
bind_ip = {ip}
bind_port = {port}
workers = {workers}
devices = {devices}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_udp_host = {ip}
log_udp_port = 9
recon_cache_path = {cache}
"""

# No authentication, and so no cache: the proxy then serves everybody.
PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""

INTERNAL_CLIENT = PROXY.replace("gatekeeper healthcheck ", "")

STORAGE = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""

DAEMONS = {
    "account": ["auditor", "reaper", "replicator"],
    "container": ["auditor", "replicator", "sharder", "sync", "updater"],
    "object": ["auditor", "expirer", "reconstructor", "replicator", "updater"],
}

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = laboratory

[swift-constraints]
max_header_size = 8192

[storage-policy:0]
name = only
default = yes
"""


def die(message):
    """Ends with one line on stderr."""
    sys.exit("lab.py: " + message)


def keeps_attributes(directory):
    """Whether files in this directory can have the attributes in which Swift keeps an object's data."""
    with tempfile.NamedTemporaryFile(dir=directory) as probe:
        try:
            os.setxattr(probe.name, "user.swift.metadata", b"x" * 1024)
        except OSError:
            return False
    return True


def make_directory(wanted):
    """The empty directory that the laboratory is to lie in."""
    if wanted:
        try:
            os.makedirs(wanted, mode=0o755)
        except OSError as why:
            die(f"cannot make {wanted}: {why.strerror}")
        if not keeps_attributes(wanted):
            os.rmdir(wanted)
            die(f"cannot keep objects in {wanted}: its file system has no user extended attributes")
        return os.path.realpath(wanted)
    places = [tempfile.gettempdir(), "/var/tmp", "/dev/shm"]
    for place in places:
        try:
            made = tempfile.mkdtemp(prefix="swift-lab-", dir=place)
        except OSError:
            continue
        if keeps_attributes(made):
            return os.path.realpath(made)
        os.rmdir(made)
    die(f"cannot keep objects in {', '.join(places)}: no file system there has user extended attributes"
        " (tmpfs has them since Linux 6.6); name a directory on ext4, xfs or btrfs as TMPDIR")


def free_address():
    """A loopback address on which all of the ports are free."""
    for _ in range(100):
        address = "127.%d.%d.%d" % (random.randint(1, 254), random.randint(0, 254), random.randint(1, 254))
        try:
            for port in PORTS.values():
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    die(f"cannot find a loopback address (127.0.0.0/8) whose ports {sorted(PORTS.values())} are free")


def write(path, text):
    """Writes a new file."""
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def build_ring(etc, kind, address):
    """Three replicas on three disks of the one server, since that is what Swift's answers to a lost
    connection between its servers rest on: it goes on with the others."""
    from swift.common.ring import RingBuilder
    builder = RingBuilder(part_power=4, replicas=len(DISKS), min_part_hours=0)
    for number, disk in enumerate(DISKS):
        builder.add_dev({"id": number, "region": 1, "zone": 1, "weight": 1, "device": disk,
                         "ip": address, "port": PORTS[kind]})
    builder.rebalance()
    builder.get_ring().save(os.path.join(etc, kind + ".ring.gz"))


def create(wanted=None):
    """Makes a laboratory and prints where it lies."""
    if wanted and not re.fullmatch(r"[A-Za-z0-9._/-]+", wanted):
        die(f"cannot use {wanted!r}: a laboratory's path consists of letters, digits, '.', '_', '-', '/'")
    try:
        import swift.common.ring  # noqa: F401, to fail before anything is made
    except ImportError:
        die("cannot find Swift: run me with bin/python3 of the virtual environment of setup-venv")

    lab = make_directory(wanted)
    etc, run, devices, cache = (os.path.join(lab, name) for name in ("etc", "run", "devices", "cache"))
    for path in (etc, run, cache, os.path.join(lab, "stub", "swift")):
        os.makedirs(path)
    for disk in DISKS:
        os.makedirs(os.path.join(devices, disk))

    address = free_address()
    user = pwd.getpwuid(os.geteuid()).pw_name
    write(os.path.join(etc, "swift.conf"), SWIFT_CONF)
    for kind, port in PORTS.items():
        text = DEFAULTS.format(user=user, ip=address, port=port, devices=devices, cache=cache,
                               workers=2 if kind == "proxy" else 1)
        if kind == "proxy":
            text += PROXY
        else:
            text += STORAGE.format(kind=kind)
            text += "".join(f"\n[{kind}-{name}]\n" for name in DAEMONS[kind])
            build_ring(etc, kind, address)
        write(os.path.join(etc, kind + "-server.conf"), text)
    write(os.path.join(etc, "internal-client.conf"), INTERNAL_CLIENT)
    write(os.path.join(etc, "container-reconciler.conf"),
          f"[DEFAULT]\nuser = {user}\nlog_udp_host = {address}\nlog_udp_port = 9\n"
          f"recon_cache_path = {cache}\n\n[container-reconciler]\n{INTERNAL_CLIENT}")

    write(os.path.join(lab, "lab.env"),
          f"LAB_DIR={lab}\nLAB_ETC={etc}\nLAB_RUN={run}\nLAB_DEVICES={devices}\n"
          f"LAB_URL=http://{address}:{PORTS['proxy']}\n")
    print(lab)


def processes(lab):
    """The pids of all that run inside: those that have the laboratory's run directory for their own.

    That is proof enough: no process comes into a mount namespace by accident, and none leaves it
    because its parent did, so workers that outlived their server are found as well."""
    mark = f"/{os.path.basename(lab)}/run /run/swift "
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                if mark in file.read():
                    found.append(int(name))
        except OSError:
            continue  # It has gone, or is not ours.
    return found


def remove(lab):
    """Ends what runs inside, then removes the directory."""
    deadline = time.monotonic() + 10
    while True:
        left = processes(lab)
        if not left:
            break
        if time.monotonic() > deadline:
            die(f"cannot end the processes in {lab}: {left}")
        for pid in left:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            # Looked at again now that the pidfd is open: this pid is no other process's any more.
            if pid in processes(lab):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                select.select([fd], [], [], 5)
            os.close(fd)
    shutil.rmtree(lab)


def main(arguments):
    """Obeys one command."""
    if arguments[:1] == ["create"] and len(arguments) <= 2:
        create(*arguments[1:])
        return
    if arguments[:1] not in (["processes"], ["remove"]) or len(arguments) != 2:
        sys.exit(__doc__)
    lab = os.path.realpath(arguments[1])
    if not os.path.exists(os.path.join(lab, "lab.env")):
        die(f"cannot use {arguments[1]}: it is no laboratory")
    if arguments[0] == "remove":
        remove(lab)
    else:
        for pid in processes(lab):
            print(pid)


main(sys.argv[1:])
