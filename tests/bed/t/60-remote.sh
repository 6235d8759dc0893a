# SPDX-License-Identifier: MIT
# limit: 400
# Guests' work is done outside the bed, by vgpu-engined
# It is at the far end of dom0's virtio serial ports, with its cpu engine, or,
# with `run --engine cuda`, a GPU. Its processes are killed while guests work.
# shellcheck shell=sh

remote='remote:/dev/vport0p*'
case $(cat /bed/engine) in
cuda) engine=cuda by='CUDA on NVIDIA .+' ;;
*) engine=cpu by='cpu on .+' ;;
esac

# sums GUEST WHAT: additions made by that engine and checked in the guest
sums() {
	for n in 1024 1048576; do
		guest "$1" "vgpu-vector-add -n $n"
		see "^Vector add PASSED: $n elements, 0 errors \\($by\\)\$" "$2: $n floats added, every bit checked in the guest"
	done
}

# own GUEST: general compute, and kernels that the guest brings as PTX
own() {
	TIMEOUT=100 guest "$1" /usr/lib/bed/compute
	relay "$1"
	for kernel in 'saxpy -n 100003' 'matmul -n 100' 'nbody -n 256' 'pipeline -n 2'; do
		guest "$1" "example_$kernel"
		case $engine in
		cuda) see "PASSED.*NVIDIA" "$1: its own kernel, checked in the guest: $kernel" ;;
		*) status 77 "$1: its own kernel: $kernel: says that this engine runs none" ;;
		esac
	done
}

# in_flight: both guests add and add until told to stop, and have begun
in_flight() {
	for g in pv pvh; do
		guest $g 'rm -f /tmp/busy'
		TIMEOUT=200 guest_bg $g $g 'vgpu-vector-add -t 4 -n 50000 -r 1000000 >/tmp/busy 2>&1'
	done
	for g in pv pvh; do
		wait_for 20 "[ \$(sums_done $g) -gt 0 ]" "$g: work is in flight" || exit
	done
}

sums_done() { guest-exec -t $((10 * patience)) "$1" 'grep -c PASSED /tmp/busy'; }

# survived N WHAT: after that the workers have connected again, which makes N
# times in all, at least, and the programs that were in flight have noticed nothing
survived() {
	wait_for 20 "[ \$(grep -c 'event=remote .*state=connected' $DAEMON_LOG) -ge $1 ]" "$2: both workers connect again" || exit
	for g in pv pvh; do
		more=$(($(sums_done $g) + 3))
		wait_for 20 "[ \$(sums_done $g) -ge $more ]" "$g, $2: the same program goes on with its sums"
		guest $g 'killall vgpu-vector-add'
		job_wait $g
		guest $g "grep -vE ' 0 errors \\($by\\)\$' /tmp/busy"
		is "$out" '' "$g, $2: all its sums are right"
	done
}

dom0 'uname -sr; xl info | grep xen_version'
see 'xen_version.*4\.17' 'this is Xen'
say 'vgpubackd finds no GPU in dom0, and nobody at the far end of the serial ports'
daemon_stop
chown vgpu /dev/vport0p*
dom0 "vgpubackd --engine '$remote'"
fails 'without vgpu-engined the daemon refuses to start'
see 'event=gate .*result=failed why=".*vport0p' 'and says what it cannot reach'

say 'vgpu-engined starts outside, vgpubackd is told where'
engined start && daemon_start --engine "$remote" || exit
leak_baseline
like "$out" "event=offer engine=$engine " 'vgpubackd offers the engine outside'

for g in pv pvh; do
	guest_start $g $g 192 'vgpu = [ "gpu=0,mem=256M" ]' || exit
	guest $g 'modprobe vgpufront'
	xs_wait 20 "$(fe $g)/state" '^4$' "$g: frontend and backend are connected"
	guest $g 'uname -sr; vgpu-smi'
	see "$engine" "$g: vgpu-smi names the engine"
	sums $g $g
	own $g
done
dom0 'vgpuctl list'
is "$(echo "$out" | grep -cE "Connected +Connected +$engine ")" 2 'vgpuctl list: both guests, with that engine'
for g in pv pvh; do
	guest_bg $g $g 'vgpu-vector-add -n 200003 -r 4'
done
for g in pv pvh; do
	job_wait $g
	is "$(echo "$out" | grep -cE "^Vector add PASSED: 200003 elements, 0 errors \\($by\\)\$")" 4 "$g: four sums, beside the other guest"
done

say 'the processes that do the work outside are killed while both guests work'
in_flight
engined kill-child
survived 2 'engine killed'

say 'vgpu-engined itself is killed meanwhile, and started again'
in_flight
engined kill
engined start || exit
survived 4 'vgpu-engined killed'
for g in pv pvh; do
	sums $g "$g, with the new vgpu-engined"
done

dom0 "kill -USR1 $(daemon_pid)"
wait_for 10 "[ \$(grep -c event=stats $DAEMON_LOG) = 2 ]" 'vgpubackd logs statistics of both devices'
dom0 "grep event=stats $DAEMON_LOG"
is "$(echo "$out" | grep -cE ' by_path="?remote:[0-9]+"? ')" 2 'all work of both took the path "remote"'
guest_stop pv pvh
no_leaks 'the guests are gone and nothing is left behind in dom0'
engined stop
is "$out" 0 'vgpu-engined ends cleanly on SIGTERM'
