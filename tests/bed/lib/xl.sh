# SPDX-License-Identifier: MIT
# For tests of guests that come and go by xl, sourced by them: what they ask of a
# guest again and again.
# shellcheck shell=sh disable=SC2154

records=/var/lib/xen-vgpu/devices

boots() { grep -c '^\[agent\] ready' "/var/log/xen/console/guest-$1.log"; }

# note NAME: before it boots again
note() { id=$(domid "$1") boots=$(boots "$1"); }

# works NAME WHAT: it has its device, and adds with it
works() {
	guest "$1" 'modprobe vgpufront'
	xs_wait 20 "$(fe "$1")/state" '^4$' "$2: the device is connected"
	guest "$1" 'vgpu-vector-add -n 5000'
	see 'Vector add PASSED: 5000 elements, 0 errors' "$2: and works"
}

# came_back NAME WHAT: it has booted again, with its device
came_back() {
	wait_for 40 "[ \$(boots $1) -gt $boots ]" "$2: it boots again"
	ok "[ \"\$(domid $1)\" -gt $id ]" "$2: as another domain"
	works "$1" "$2"
	tree "$2"
}

# tree WHAT: of all live devices, and of none that is gone
tree() {
	wait_for 20 '[ "$(xenstore-list /local/domain/0/backend/vgpu 2>/dev/null | sort -n | xargs)" = \
		"$(xl list | awk "NR > 2 { print \$2 }" | sort -n | xargs)" ]' "$1: xenstore has a directory for each guest, and no other"
	dom0 vgpu-xenstore-check
	succeeds "$1: the tree obeys the schema"
}

# recorded NAME RE WHAT: what is remembered of a name
recorded() {
	wait_for 10 "grep -qE '^device [-0-9a-f]+ $1 .*$2' $records" "$3" || cat $records
}

# busy NAME: a program adds without end; outlives the guest's stay in a file
busy() {
	guest "$1" '(vgpu-vector-add -n 200000 -r 4000000000 >/tmp/busy 2>&1; echo "status $?" >>/tmp/busy) >/dev/null 2>&1 </dev/null &
		until [ -s /tmp/busy ]; do sleep 0.1; done'
	succeeds "$1: a program is at work"
}

# undisturbed NAME WHAT: it goes on, and had no error
undisturbed() {
	guest "$1" 'n=$(wc -l </tmp/busy); until [ $(wc -l </tmp/busy) -gt $n ]; do sleep 0.1; done; cat /tmp/busy' >/dev/null
	unseen 'FAILED|^status' "$2"
}

# told NAME WHAT: the busy program has ended, and why
told() {
	guest "$1" 'until grep -q ^status /tmp/busy; do sleep 0.1; done; tail -n 2 /tmp/busy'
	see '^status 1$' "$2: the program that was at work ends with an error"
	see 'device lost' "$2: which says that the device is lost"
}

# kept NAME WHAT: nothing of what was before is held in the guest
kept() {
	wait_for 20 "at_rest $1" "$2: the module keeps no context or buffer of before"
	guest "$1" 'cat /sys/kernel/debug/vgpufront/0/status'
	see '^grants_kept 0$' "$2: and no grant"
	is "$(grants_mapped "$1")" "$idle" "$2: as many grants are mapped as at first"
}
