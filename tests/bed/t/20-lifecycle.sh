# SPDX-License-Identifier: MIT
# limit: 420
# Coming and going: module loaded and unloaded, device detached and attached,
# worker killed, daemon stopped, guest destroyed; idle and while busy. Nothing
# hangs and nothing is left behind.
# shellcheck shell=sh

# The xenbus core holds a reference to the module of a bound device.
unload='echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront'
busy='vgpu-vector-add -n 200000 -r 4000000000'

# lost JOB WHAT: the busy program ended, with an error that says so
lost() {
	job_wait "$1"
	is "$rc" 1 "$2: the busy program ends with an error"
	see 'device lost' "$2: and says that the device is lost"
	unseen 'FAILED:.*mismatch' "$2: and no wrong result"
}

# busy_start JOB GUEST: returns when the first additions are done
busy_start() {
	guest "$2" 'rm -f /tmp/busy'
	guest_bg "$1" "$2" "$busy >/tmp/busy 2>&1; s=\$?; cat /tmp/busy | tail -n 3; exit \$s"
	before=$(guest_requests "$2")
	wait_for 20 "[ \"\$(guest_requests $2)\" -gt $((before + 5)) ]" "$1: work is in flight"
}

guest_requests() {
	guest-exec -t $((20 * patience)) "$1" "awk '\$1 == \"responses\" { print \$2 }' /sys/kernel/debug/vgpufront/0/status" 2>/dev/null
}

works() {
	guest "$1" 'vgpu-vector-add -n 5000'
	see 'Vector add PASSED: 5000 elements, 0 errors' "$2"
}

for type in pv pvh; do
	g=$type
	guest_start $g $type 192 'vgpu = [ "" ]'
	guest $g 'modprobe vgpufront'
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: connected"
	idle=$(idle_grants $g)

	guest $g 'rmmod vgpufront'
	fails "$type: a module in use can not be unloaded"
	i=0 good=0
	while [ $i -lt 10 ]; do
		guest $g "$unload && modprobe vgpufront" && good=$((good + 1))
		await $((20 * patience)) xs "$(fe $g)/state" '^4$' >/dev/null || break
		i=$((i + 1))
	done
	is "$good:$i" 10:10 "$type: the module is unloaded and loaded ten times"
	works $g "$type: and works after that"
	is "$(idle_grants $g)" "$idle" "$type: as many grants are mapped as before"

	dom0 "vgpuctl detach $g"
	succeeds "$type: detach while idle"
	guest $g 'while [ -e /dev/vgpufront ]; do sleep 0.1; done'
	succeeds "$type: its file goes"
	guest $g 'vgpu-vector-add -n 10'
	fails "$type: without a device, a program fails"
	guest $g vgpu-smi
	fails "$type: vgpu-smi too"
	see 'attach' "$type: and says what to do"
	dom0 "vgpuctl attach $g"
	succeeds "$type: attach to the running guest"
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: connected again"
	works $g "$type: works after hot-plug"

	busy_start detach$g $g
	dom0 "vgpuctl detach $g"
	succeeds "$type: detach while busy"
	lost detach$g "$type, detached"
	xs_gone 10 "$(be $g)" "$type: no backend node"
	xs_gone 10 "$(fe $g)" "$type: no frontend node"
	dom0 "vgpuctl attach $g"
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: connected after that"

	busy_start worker$g $g
	dom0 'killall -KILL vgpu-worker'
	lost worker$g "$type, worker killed"
	xs_wait 20 "$(be $g)/state" '^4$' "$type: a new worker serves"
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: the frontend is connected to it"
	works $g "$type: works with the new worker"

	busy_start daemon$g $g
	daemon_stop
	is "$rc" 0 "$type: vgpubackd ends cleanly on SIGTERM while busy"
	lost daemon$g "$type, daemon stopped"
	wait_for 10 '! pidof vgpu-worker' "$type: no worker survives its daemon"
	daemon_start
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: connected to the new daemon"
	works $g "$type: works with the new daemon"

	busy_start destroy$g $g
	nodes=/local/domain/0/backend/vgpu/$(domid $g)
	guest_stop $g
	job_wait destroy$g
	wait_for 10 "! xl list | grep -q -e '$g' -e '(null)'" "$type: destroyed while busy, and no zombie"
	xs_gone 10 "$nodes" "$type: no backend node stays"
done
