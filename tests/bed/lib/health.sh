# SPDX-License-Identifier: MIT
# Is the bed as a healthy system leaves it? What is held and mapped, what the
# kernels and Xen have said, and which guests QEMU has lost; part of bed.sh.
# shellcheck shell=sh

SERIOUS='BUG:|WARNING:|Oops|general protection|Kernel panic|segfault at|traps:|leaked|refcount_t|Triple fault|Insn mismatch'

# --- leaks -------------------------------------------------------------------

# bed_state: what must be the same before and after, one item a line
bed_state() {
	echo "domains: $(xl list | awk 'NR > 1 { printf " %s", $1 }')"
	echo "backend nodes: $(xenstore-ls /local/domain/0/backend/vgpu 2>/dev/null | tr '\n' ' ')"
	lsevtchn 0 | sed -E 's/^.*VCPU [0-9]+: *//; s/ \(.*//' | sort | uniq -c | sed 's/^/event channels:/'
	echo "workers: $(pidof vgpu-worker | wc -w)"
	p=$(daemon_pid)
	[ -z "$p" ] || echo "vgpubackd open files: $(find "/proc/$p/fd" -mindepth 1 | wc -l)"
}

# leak_baseline [NAME]: later no_leaks compare with this moment. A test begins with
# one and ends with that; one with a name is for what is between.
leak_baseline() {
	baseline=state${1:+.$1}
	bed_state >"$TMP/$baseline"
}

# no_leaks [DESCRIPTION]: domains, backend nodes, event channels, workers and
# the daemon's files are those of the baseline, within 5 seconds, times $patience
no_leaks() {
	until_uptime=$(($(uptime_s) + 5 * patience))
	while :; do
		bed_state >"$TMP/now"
		if cmp -s "$TMP/$baseline" "$TMP/now"; then
			pass "${1:-nothing is left behind}"
			return
		fi
		[ "$(uptime_s)" -lt $until_uptime ] || break
		sleep 0.3
	done
	fail "${1:-nothing is left behind}" "$(diff "$TMP/$baseline" "$TMP/now" | grep '^[-+][^-+]')"
	return 1
}

# grants_mapped NAME: how many of the guest's grants another domain has mapped
grants_mapped() {
	drain_xen
	xl debug-keys g
	xl dmesg -c | tee -a "$LOG/xen.log" >"$TMP/g"
	sed -n "/grant-table for remote d$(domid "$1") /,/-------- active/p" "$TMP/g" | grep -c '\[0x'
}

# at_rest NAME: the guest's module has given back all that programs had. What the
# backend has mapped of them it has unmapped before.
at_rest() {
	guest-exec -t $((30 * patience)) "$1" 'cat /sys/kernel/debug/vgpufront/*/status' 2>/dev/null |
		awk '$1 ~ /^(contexts|contexts_closing|buffers|buffers_closing|in_flight)$/ { n++; busy += $2 != 0 }
			END { exit !n || busy }'
}

# idle_grants NAME: how many of its grants are mapped when no program has any
idle_grants() {
	until_uptime=$(($(uptime_s) + 20 * patience))
	until at_rest "$1" || [ "$(uptime_s)" -ge $until_uptime ]; do
		sleep 0.1
	done
	grants_mapped "$1"
}

# --- kernel logs, and guests that QEMU loses ---------------------------------

# expect_log REGEX: the kernels or Xen will say this, rightly
expect_log() { echo "$1" >>"$TMP/expected"; }

drain_xen() { xl dmesg -c >>"$LOG/xen.log"; }

# unexpected: those of the lines on stdin
unexpected() {
	if [ -s "$TMP/expected" ]; then grep -vE -f "$TMP/expected"; else cat; fi
}

# deaths: triple faults that nobody expected, a line each. QEMU loses a PVH or HVM
# guest to one now and then (README.md); then it dies in its kernel or with a state
# of Xen's own. One in a module is not among them.
deaths() {
	# Xen may be about to say where.
	for look in 1 2 3 4 5; do
		drain_xen
		awk '/ Triple fault/ { line = $0 }
			/ RIP: / && line { if ($0 !~ /<ffffffff[c-f]/) print "Xen: " line; line = "" }
			END { exit line != "" }' "$LOG/xen.log" >"$TMP/faults" && break
		sleep 0.2
	done
	unexpected <"$TMP/faults"
}

# expect_death [DOMID]: that was one of them, or else the last one, and the test
# goes on without it; fails where there is none
expect_death() {
	dead=$(deaths | grep "${1:+ d${1}v}" | tail -n 1)
	[ "$dead" ] && expect_log "$(echo "$dead" | sed 's/.* \(d[0-9]*v\).*/^Xen: .*\1.* Triple fault/')"
}

# kernel_lines FILE: of a guest's console log, without its commands' output
kernel_lines() { grep -vE '^\[([0-9]+)\][ ~$=]' "$1"; }

check_kernels() {
	dmesg -c >>"$LOG/dom0-kernel.log"
	drain_xen
	{
		sed 's/^/dom0: /' "$LOG/dom0-kernel.log"
		sed 's/^/Xen: /' "$LOG/xen.log"
		for f in /var/log/xen/console/guest-*.log; do
			[ -e "$f" ] || continue
			name=${f##*/guest-}
			kernel_lines "$f" | sed "s/^/${name%.log}: /"
		done
	} | grep -E -e "$SERIOUS" | grep -vE -e '^Xen: .*Dumping' | unexpected >"$TMP/serious"
	if [ -s "$TMP/serious" ]; then
		fail 'no kernel and not Xen report anything serious' "$(cat "$TMP/serious")"
	else
		pass 'no kernel and not Xen report anything serious'
	fi
	# For main.sh, which then runs the test again: nothing failed before QEMU
	# lost a guest, and nobody says anything serious but that.
	deaths >"$TMP/deaths"
	if [ -e "$TMP/failed.after" ] && [ ! -e "$TMP/failed.before" ] &&
		[ -z "$(awk 'FILENAME ~ /deaths$/ { d[$0] = 1; next } !($0 in d)' "$TMP/deaths" "$TMP/serious")" ]; then
		: >"$LOG/lost-guest"
	fi
}
