# What the scenarios' lines of shell may use.

# pid FILE TEXT: a pid file.
pid() { mkdir -p "$(dirname "/run/swift/$1")" && printf %s "$2" >"/run/swift/$1"; }

# stranger FILE [COMMAND...]: a pid file of a process that is no server.
stranger() {
    file=$1
    shift
    [ $# -gt 0 ] || set -- sleep 1000
    setsid "$@" >/dev/null 2>&1 &
    pid "$file" $!
}

# lives PID: says whether a process runs (a zombie does not).
lives() { grep -qs '^State:[[:space:]][^ZX]' "/proc/$1/status" && echo yes || echo no; }

# count PROGRAM: how many processes were called as this. The bracket keeps grep from finding itself.
count() { grep -lszx "[${1%"${1#?}"}]${1#?}" /proc/[0-9]*/cmdline | wc -l; }

# weak COMMAND...: without the right to exceed limits.
weak() { setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "$@"; }

# powerless COMMAND...: without the right to signal other users' processes.
powerless() { setpriv --bounding-set=-kill --inh-caps=-kill "$@"; }

# after EVENT GO: opens the fifo GO some time after EVENT was opened. The original is not ready for
# signals when its servers are, and there is no event that says so.
after() {
    mkfifo "$1" "$2"
    setsid sh -c 'read -r _ <"$0"; sleep 1; : >"$1"' "$1" "$2" >/dev/null 2>&1 &
}

# within_4_seconds_of_its_server FILE COMMAND...: the command, which has to end within four seconds of the server
# whose pid file it writes; else its exit status is 124, as that of timeout(1). However slowly it starts.
within_4_seconds_of_its_server() {
    file=/run/swift/$1
    shift
    "$@" &
    child=$!
    until [ -s "$file" ] && [ "$(lives "$(cat "$file")")" = no ] || [ "$(lives $child)" = no ]; do :; done
    if timeout 4 tail --pid=$child -f /dev/null; then
        wait $child
    else
        kill $child
        return 124
    fi
}

# zombie FILE: a pid file of a process that has ended, for which its parent never waits.
zombie() {
    mkfifo /run/ended
    setsid sh -c 'sh -c "echo \$\$" >/run/ended & exec sleep 1000' >/dev/null 2>&1 &
    pid "$1" "$(cat /run/ended)"
    # The end of the fifo is the end of its only writer's descriptors, moments before it is a zombie.
    until grep -qs '^State:[[:space:]]Z' "/proc/$(cat "/run/swift/$1")/status"; do :; done
}


# as_service COMMAND...: in the background, as the main process of a unit of systemd, whose pid is then
# in /run/main.
as_service() {
    setsid sh -c 'echo $$ >/run/main; SYSTEMD_EXEC_PID=$$ exec "$@"' sh "$@" >/dev/null 2>&1 &
}

# in_service UNIT PID...: the kernel shows the control group of the unit for these.
in_service() {
    echo "0::/system.slice/$1" >"/run/$1"
    unit=/run/$1
    shift
    for process; do mount --bind "$unit" "/proc/$process/cgroup"; done
}
