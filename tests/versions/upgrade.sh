# Runs inside a laboratory: upgrade.sh LAB TOOLS OLD-VENV NEW-VENV LOAD.PY. Ends with 0 when all went well.
#
# As with a package, programs and code are replaced where they are, and the interpreter keeps its name: the
# programs lie in LAB/bin, and LAB/current is the virtual environment that is installed. (A link to the
# programs would not do: a server executes the real path of its script anew.)
set -u

lab=$1 tools=$2 old=$3 new=$4 load_py=$5
servers='account-server container-server object-server proxy-server'
. "$lab/lab.env"
PATH=$tools:$lab/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
	echo "upgrade.sh: $*" >&2
	swift-init main object-auditor kill >&2
	exit 1
}

install_release() {
	ln -sfn "$1" "$lab/current.new" && mv -T "$lab/current.new" "$lab/current" || fail "cannot switch to $1"
	for program in "$1"/bin/swift-*; do
		sed "1s,^#!.*,#!$lab/current/bin/python3," "$program" >"$lab/bin/.new" && chmod 755 "$lab/bin/.new" &&
			mv "$lab/bin/.new" "$lab/bin/${program##*/}" || fail "cannot install $program"
	done
}

# A process has mapped the extension modules of the environment that it runs in.
runs() {
	grep -qF "$(realpath "$1")/lib/" "/proc/$(cat "/run/swift/$2.pid")/maps"
}

pids() {
	for server in $servers; do cat "/run/swift/$server.pid" && echo; done
}

mkdir "$lab/bin"
install_release "$old"
swift-init main object-auditor start || fail "start: exit status $?"
for server in $servers object-auditor; do
	runs "$old" "$server" || fail "$server does not run the old code"
done
before=$(pids)

mkfifo "$lab/load"
python3 "$load_py" "$LAB_URL" --seconds 600 --threads 2 >"$lab/load" &
load=$!
exec 3<"$lab/load"
read -r _ <&3 || fail "the load did not begin"

install_release "$new"
swift-init main object-auditor reload-seamless || fail "reload-seamless: exit status $?"
for server in $servers object-auditor; do
	runs "$new" "$server" || fail "$server does not run the new code"
done
[ "$(pids)" = "$before" ] || fail "the pids were $before and are $(pids)"

# Once more, from the new code to the new code.
swift-init main reload-seamless || fail "the second reload-seamless: exit status $?"
[ "$(pids)" = "$before" ] || fail "the pids were $before and are $(pids)"

kill -s TERM "$load"
cat <&3
wait "$load" || fail "requests failed"
swift-init main object-auditor stop || fail "stop: exit status $?"
