#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The engine conformance test through the remote engine, with the cpu engine at
# the far end: over a Unix socket, over loopback TCP, and over a character
# device. Runs from the top directory. With ENGINE=cuda on a machine with a GPU
# it holds the whole way to a GPU to the same rules.
B=${B:-build}
ENGINE=${ENGINE:-cpu}
tmp=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$tmp"' EXIT
n=0
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		tail -n 30 "$tmp/out" "$tmp/log" | sed 's/^/# /'
	fi
}

# A line of a growing file that matches, awaited. The file has to be there: who
# writes it may not have made it yet, and tail does not wait for that.
await() {
	timeout 120 tail -n +1 -f --pid=$$ "$1" 2>/dev/null | grep -m 1 "$2"
}

# Two wires: a device has one client, and the test opens a second engine.
mkfifo "$tmp/wire"
: >"$tmp/log"
for i in 1 2; do
	: >"$tmp/ptys$i"
	"$B/test/pty_pair" <"$tmp/wire" >>"$tmp/ptys$i" &
	pids="$pids $!"
done
exec 9>"$tmp/wire"
for i in 1 2; do
	ptys=$(await "$tmp/ptys$i" /dev)
	ln -s "${ptys% *}" "$tmp/near$i"
	ln -s "${ptys#* }" "$tmp/far$i"
done

"$B/bin/vgpu-engined" --engine "$ENGINE" --listen "unix:$tmp/socket" \
	--listen tcp:localhost:0 --listen "$tmp/far1" --listen "$tmp/far2" \
	2>>"$tmp/log" &
engined=$!
pids="$pids $engined"
ready=$(await "$tmp/log" event=ready)
tcp=$(expr "$ready" : '.*\(tcp:localhost:[0-9]*\)')
echo "# $ready"

through() {
	"$B/test/engine_conformance" --engine "remote:$1" >"$tmp/out" 2>&1
	rc=$?
	# Every case ran, and the engine's label is remote's.
	[ "$(grep -c '^ok .*- remote: ' "$tmp/out")" -ge 45 ] || rc=1
	ok $rc "the conformance test over $2"
	grep 'elements in\|^not ok' "$tmp/out" | sed "s/^#* */# $2: /"
}

through "unix:$tmp/socket" 'a Unix socket'
through "$tcp" 'loopback TCP'
through "$tmp/near[12]" 'character devices'

kill -TERM $engined
wait $engined
ok $? 'SIGTERM ends vgpu-engined with status 0'
[ ! -e "$tmp/socket" ] && ! ps -o pid= --ppid $engined >"$tmp/out"
ok $? 'and takes its socket and its children with it'
echo "1..$n"
