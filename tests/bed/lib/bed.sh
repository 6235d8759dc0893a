# SPDX-License-Identifier: MIT
# The functions a bed test is written with (README.md has the list), for the
# shell of dom0. They report in TAP on descriptor 3 and do not end the test: a
# failed check is a line, what follows still runs. Only where QEMU has lost a
# guest the test ends at the next one.
#
# Two variables pass results on: $out, what the last command printed, stdout
# and stderr together, and $rc, its exit status.
# shellcheck shell=sh

out='' rc=0
# All time limits here are for a machine that has nothing else to do. They are
# so many times as long: nothing waits for their end but what hangs.
patience=$(cat /bed/patience)
. /bed/lib/health.sh

# --- reporting ---------------------------------------------------------------

tap() {
	echo "$*" >&3
	echo "tap $*" >&4
	echo "$*"
}

# say TEXT...: a line for whoever watches
say() {
	echo "say $*" >&4
	echo "## $*"
}

# log_command COMMAND-LINE, then log_output: a command and what came of it
log_command() {
	echo "$1"
	echo "cmd $1" >&4
}

log_output() {
	[ -n "$out" ] && echo "$out" && echo "$out" | sed 's/^/out /' >&4
	[ "$rc" = 0 ] || echo "(status $rc)"
}

pass() {
	count=$((count + 1))
	tap "ok $count - $1"
}

# fail DESCRIPTION [DETAILS]
fail() {
	count=$((count + 1)) failed=$((failed + 1))
	tap "not ok $count - $1"
	[ -z "${2-}" ] || echo "$2" | tail -n 25 | while IFS= read -r l; do tap "#   $l"; done
	if [ "$(deaths)" ]; then
		: >"$TMP/failed.after"
		# What comes after would fail with the guest that is gone.
		[ "$ending" ] || exit 1
	else
		: >"$TMP/failed.before"
	fi
}

# --- checks ------------------------------------------------------------------

# ok CONDITION DESCRIPTION: the shell condition holds
ok() {
	if eval "$1"; then pass "$2"; else fail "$2" "false: $1"; fi
}

# is GOT WANT DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then pass "$3"; else fail "$3" "got '$1', wanted '$2'"; fi
}

# like TEXT REGEX DESCRIPTION: a line of TEXT matches the extended REGEX
like() {
	if echo "$1" | grep -qE -e "$2"; then
		pass "$3"
	else
		fail "$3" "no line matches /$2/ in:
$1"
	fi
}

unlike() {
	if echo "$1" | grep -qE -e "$2"; then
		fail "$3" "a line matches /$2/: $(echo "$1" | grep -E -e "$2" | head -n 5)"
	else
		pass "$3"
	fi
}

# see REGEX DESCRIPTION: the last command printed it
see() { like "$out" "$1" "$2"; }

# unseen REGEX DESCRIPTION: the last command did not print it
unseen() { unlike "$out" "$1" "$2"; }

# status N DESCRIPTION: the last command ended with it
status() {
	if [ "$rc" = "$1" ]; then pass "$2"; else fail "$2" "status $rc, wanted $1, after:
$out"; fi
}

succeeds() { status 0 "$1"; }

fails() {
	if [ "$rc" != 0 ]; then pass "$1"; else fail "$1" "status 0, after:
$out"; fi
}

# relay PREFIX: the TAP that the last command printed becomes this test's own
relay() {
	while IFS= read -r line; do
		case $line in
		'ok '*) pass "$1: ${line#ok * - }" ;;
		'not ok '*) fail "$1: ${line#not ok * - }" "$(echo "$out" | grep -F -B 3 -- "$line")" ;;
		esac
	done <<-END
		$out
	END
	see '^1\.\.[1-9]' "$1: ran to its end"
}

# --- commands ----------------------------------------------------------------
# TIMEOUT=SECONDS before any of them changes its time limit of 30 seconds (times
# $patience); a command that passes it is killed and has status 124.

# dom0 COMMAND: runs it in dom0
dom0() {
	log_command "dom0# $1"
	out=$(confine -l $((${TIMEOUT:-30} * patience)) "$patience" sh -c "$1" 2>&1 3>&- 4>&- </dev/null)
	rc=$?
	log_output
	return $rc
}

# guest NAME COMMAND: runs it in the guest
guest() {
	log_command "$1# $2"
	out=$(guest-exec -t $((${TIMEOUT:-30} * patience)) "$1" "$2" 2>&1 3>&- 4>&-)
	rc=$?
	log_output
	return $rc
}

# job_new JOB: what an earlier job of that name has said is not this one's
job_new() {
	rm -f "$TMP/job.$1.rc"
	: >"$TMP/job.$1.out"
}

# guest_bg JOB NAME COMMAND: starts it; any number at once, `job_wait JOB` ends it
guest_bg() {
	log_command "$2# $3 &"
	job_new "$1"
	{
		guest-exec -t $((${TIMEOUT:-60} * patience)) "$2" "$3" >"$TMP/job.$1.out" 2>&1
		echo $? >"$TMP/job.$1.rc"
	} 3>&- 4>&- &
	eval "job_$1=$!"
}

# dom0_bg JOB COMMAND
dom0_bg() {
	log_command "dom0# $2 &"
	job_new "$1"
	{
		confine $((${TIMEOUT:-60} * patience)) "$patience" sh -c "$2" >"$TMP/job.$1.out" 2>&1 </dev/null
		echo $? >"$TMP/job.$1.rc"
	} 3>&- 4>&- &
	eval "job_$1=$!"
}

# job_wait JOB: waits for it, sets $out and $rc
job_wait() {
	eval "wait \$job_$1"
	out=$(cat "$TMP/job.$1.out")
	rc=$(cat "$TMP/job.$1.rc")
	log_command "(job $1 ended)"
	log_output
	return "$rc"
}

# job_out JOB: what it has printed so far
job_out() { cat "$TMP/job.$1.out"; }

# --- waiting -----------------------------------------------------------------
# Each for SECONDS, times $patience.

uptime_s() { cut -d. -f1 /proc/uptime; }

# xs_wait SECONDS NODE REGEX DESCRIPTION: the xenstore node's value matches
xs_wait() {
	if out=$(await $(($1 * patience)) xs "$2" "$3" 2>&1); then pass "$4"; else fail "$4" "$out"; fi
}

# xs_gone SECONDS NODE DESCRIPTION: the xenstore node is gone
xs_gone() {
	if out=$(await $(($1 * patience)) gone "$2" 2>&1); then pass "$3"; else fail "$3" "$out"; fi
}

# file_wait SECONDS FILE REGEX DESCRIPTION: a line of the file matches
file_wait() {
	if out=$(await $(($1 * patience)) file "$2" "$3" 2>&1); then
		pass "$4"
	else
		fail "$4" "$out
$(tail -n 10 "$2")"
	fi
}

# daemon_says SECONDS REGEX DESCRIPTION: a line of vgpubackd's log matches
daemon_says() { file_wait "$1" "$DAEMON_LOG" "$2" "$3"; }

# wait_for SECONDS CONDITION DESCRIPTION: for what announces itself nowhere
wait_for() {
	until_uptime=$(($(uptime_s) + $1 * patience))
	while ! eval "$2"; do
		if [ "$(uptime_s)" -ge $until_uptime ]; then
			fail "$3" "after $(($1 * patience)) s still false: $2"
			return 1
		fi
		sleep 0.1
	done
	pass "$3"
}

# --- guests ------------------------------------------------------------------

# guest_start NAME pv|pvh|hvm MIB [CONFIG-LINE...]: creates a guest and waits until
# it takes commands. With a `vgpu = [ ... ]` line it goes through vgpuctl, or,
# with CREATE=xl before it, through plain xl, which ignores that line.
#
# QEMU 7.2 loses some PVH and HVM guests while their kernel boots (README.md),
# which is before any module of ours is in them: such a guest is started again,
# three times at most, and a line says so.
guest_start() {
	for again in 1 2 3; do
		[ "$2" != pv ] || break
		guest_create "$@" || return
		booting=$(domid "$1")
		out=$(guest-exec -t $((40 * patience)) -r "$1" 2>&1) && rc=0 && return 0
		say "guest $1 did not boot ($out), starting it again"
		expect_death "$booting"
		xl destroy "$1" 2>/dev/null
	done
	guest_create "$@" && guest_ready "$1"
}

# hvm_lines: kernel and initramfs where hvm_boot.S looks for them, and no device
# that is not needed
hvm_lines() {
	cat <<-'END'
		kernel = "/boot/hvm"
		device_model_args_hvm = [ "-device", "loader,file=/boot/vmlinux",
			"-device", "loader,file=/boot/guest.cpio,addr=0x6000000,force-raw=on" ]
		vga = "none"
		nographic = 1
		vnc = 0
		usb = 0
	END
}

guest_create() {
	# Else it looks for AGP bridges on all buses: a question to the device model each.
	case $2 in hvm) noearly=' pci=noearly' ;; *) noearly= ;; esac
	cfg=$TMP/$1.cfg
	{
		echo "name = \"$1\""
		echo "type = \"$2\""
		echo "memory = $3"
		case $2 in
		hvm) hvm_lines ;;
		*) echo "kernel = \"/boot/vmlinux\""
			echo "ramdisk = \"/boot/guest.cpio\"" ;;
		esac
		echo "extra = \"console=hvc0 rdinit=/init mitigations=off noxsave quiet panic=-1$noearly ${GUEST_EXTRA-}\""
		echo "tsc_mode = \"native\"" # reading the time need not enter Xen
		echo "on_crash = \"destroy\""
	} >"$cfg"
	log=/var/log/xen/console/guest-$1.log
	[ -e "$log" ] && mv "$log" "${log%.log}.$(date +%s).log"
	create=xl
	case "$*" in *vgpu*=*) create=${CREATE:-vgpuctl} ;; esac
	vcpus=1
	name=$1
	# A triple fault is a reboot: of a guest that QEMU lost nothing comes back.
	case "$2 $*" in pv\ * | *on_reboot*) ;; *) echo 'on_reboot = "destroy"' >>"$cfg" ;; esac
	shift 3
	for l in "$@"; do
		echo "$l" >>"$cfg"
		case $l in vcpus*) vcpus= ;; esac
	done
	[ -z "$vcpus" ] || echo "vcpus = 1" >>"$cfg"
	dom0 "$create create $cfg"
	[ $rc = 0 ] || fail "guest $name is created" "$out"
	return $rc
}

guest_ready() {
	out=$(guest-exec -t $((${TIMEOUT:-60} * patience)) -r "$1" 2>&1)
	rc=$?
	[ $rc = 0 ] || fail "guest $1 boots" "$out
$(tail -n 10 "/var/log/xen/console/guest-$1.log")"
	return $rc
}

# guest_stop NAME...: destroys them
guest_stop() {
	for g in "$@"; do
		dom0 "xl destroy $g" || fail "guest $g is destroyed" "$out"
	done
}

# domid NAME
domid() { xl domid "$1"; }

# fe NAME [DEVID], be NAME [DEVID [BACKEND-DOMID]]: the device's xenstore directories
fe() { echo "/local/domain/$(domid "$1")/device/vgpu/${2:-0}"; }
be() { echo "/local/domain/${3:-0}/backend/vgpu/$(domid "$1")/${2:-0}"; }

# --- the daemon --------------------------------------------------------------

# daemon_start [ARGUMENT...]: vgpubackd, offering; its log is $DAEMON_LOG
daemon_start() {
	rm -f "$TMP/daemon.status"
	mark=$(($(wc -c 2>/dev/null <"$DAEMON_LOG") + 1))
	log_command "dom0# vgpubackd $* &"
	setsid sh -c 'vgpubackd "$@" >>"$DAEMON_LOG" 2>&1 </dev/null &
		echo $! >"$TMP/daemon.pid"
		wait $!
		echo $? >"$TMP/daemon.status"' sh "$@" 3>&- 4>&- &
	# A restarted daemon's log has the earlier one's lines too.
	until_uptime=$(($(uptime_s) + 20 * patience))
	rc=0
	while ! tail -c +$mark "$DAEMON_LOG" | grep -qE "$DAEMON_READY"; do
		if [ -e "$TMP/daemon.status" ] || [ "$(uptime_s)" -ge $until_uptime ]; then
			rc=1
			break
		fi
		sleep 0.1
	done
	out=$(tail -c +$mark "$DAEMON_LOG")
	log_output
	[ $rc = 0 ] || fail 'vgpubackd starts' "$out"
	return $rc
}

daemon_pid() { cat "$TMP/daemon.pid" 2>/dev/null; }

# daemon_stop [SIGNAL]: ends it; $rc is its exit status
daemon_stop() {
	kill "-${1:-TERM}" "$(daemon_pid)"
	rc=$(await $((20 * patience)) file "$TMP/daemon.status" '^[0-9]+$' 2>"$TMP/daemon.await") || {
		cat "$TMP/daemon.await"
		ps | grep -E 'vgpu|[s]h -c vgpubackd'
		cat "/proc/$(daemon_pid)/wchan" "/proc/$(daemon_pid)/stack"
		kill -KILL "$(daemon_pid)"
		rc=124
	}
	rm -f "$TMP/daemon.pid"
	echo "dom0# (vgpubackd ended with $rc)"
	return "$rc"
}

# --- the engine outside the bed ----------------------------------------------

# engined start|kill|kill-child|stop: vgpu-engined outside the bed, at the far
# end of /dev/vport0p1 ...; $out is what `run` answers (its process id, nothing,
# how many children it killed, its exit status), its log is $ENGINED_LOG
engined() {
	log_command "outside# vgpu-engined: $1"
	engined_nr=$((${engined_nr:-0} + 1))
	echo "engined $$.$engined_nr $1" >&4
	until_uptime=$(($(uptime_s) + 40 * patience))
	out=
	while [ "$(uptime_s)" -lt $until_uptime ]; do
		out=$(cat /bed/engined 2>/dev/null)
		case $out in "$$.$engined_nr "*) break ;; esac
		out="no answer within $((40 * patience)) s"
		sleep 0.1
	done
	out=${out#"$$.$engined_nr "}
	case $out in ok*) rc=0 ;; *) rc=1 ;; esac
	out=${out#ok}
	out=${out# }
	log_output
	[ $rc = 0 ] || fail "vgpu-engined: $1" "$out"
	[ "$1$rc" != start0 ] || wait_for 10 \
		"! grep -L 'host_connected: 1' /sys/kernel/debug/virtio-ports/* | grep -q ." 'dom0 sees vgpu-engined at its ports' ||
		rc=1
	return $rc
}

# --- the test's frame (test.sh) ----------------------------------------------

test_begin() {
	LOG=/bed/log/$1 TMP=/run/bed/$1
	DAEMON_LOG=$LOG/vgpubackd.log ENGINED_LOG=$LOG/vgpu-engined.log
	: "${DAEMON_READY:=event=offer }"
	export LOG TMP DAEMON_LOG
	count=0 failed=0 ending='' whole=''
	mkdir -p "$LOG" "$TMP"
	rm -rf /var/lib/xen-vgpu # what is remembered of another test's guests
	exec 3>"$LOG/tap" 4>>"${STREAM:-/bed/stream}"
	trap 'overdue' TERM
	trap 'test_end' EXIT
	[ ! -x /usr/sbin/vgpubackd ] || [ "${NO_DAEMON-}" ] || daemon_start
	leak_baseline
}

overdue() {
	fail "the test ends within its time limit"
	exit 1
}

test_end() {
	trap '' TERM
	trap - EXIT
	ending=1
	# A shell that finds an error in a script ends it, and says nothing else.
	[ "$whole" ] || [ $failed -gt 0 ] || fail 'the test runs to its end'
	for d in $(xenstore-list /local/domain); do
		[ "$d" = 0 ] || xl destroy "$d"
	done
	# Nor is it QEMU's fault what these two find.
	if [ -n "$(daemon_pid)" ]; then
		baseline=state
		no_leaks 'nothing is left behind at the end' || : >"$TMP/failed.before"
		daemon_stop || {
			fail 'vgpubackd ends cleanly' "status $rc
$(tail -n 10 "$DAEMON_LOG")"
			: >"$TMP/failed.before"
		}
	fi
	check_kernels
	tap "1..$count"
	: >"$LOG/complete"
}
