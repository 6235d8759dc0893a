# SPDX-License-Identifier: MIT
# limit: 420
# Five guests share one GPU: PV and PVH, several processes each, mixed sizes
# All results are exact; who is busy gets the share that its weight says, a cap
# holds, and neither a hostile guest nor devices that come and go change the
# others' results or their shares.
# shellcheck shell=sh

guests='a b c d e' # b and c are PVH
weight_a=128 weight_b=256 weight_c=256 weight_d=512 weight_e=1024
# Elements of a job: not everybody's jobs take the same time.
size_a=30000 size_b=60000 size_c=20000 size_d=40000 size_e=100000

# of VARIABLE GUEST: its value for the guest
of() { eval "echo \"\$${1}_$2\""; }

line() { echo "vgpu = [ \"mem=64M,weight=$(of weight "$1")\" ]"; }

# alive GUEST...: those of them that are still there
alive() {
	for g in "$@"; do
		case " $guests " in *" $g "*) echo "$g" ;; esac
	done
}

# drop_lost: QEMU loses a PVH guest now and then to a triple fault (README.md).
# The others must not mind, and the test goes on with them, as long as one of the
# two is there: without, it ends, and is run again.
drop_lost() {
	for g in $guests; do
		! xl domid "$g" >/dev/null 2>&1 || continue
		[ "$(alive b c)" != "$g" ] || fail 'a PVH guest is left'
		if ! expect_death "$(of id "$g")"; then
			fail "guest $g is still there"
			exit
		fi
		say "QEMU lost guest $g to a triple fault: on without it"
		guests=$(echo "$guests" | sed "s/ *$g */ /")
	done
}

connected() {
	xs_wait 30 "$(fe "$1")/state" '^4$' "$1: connected${2-}"
}

# used FILE GUEST...: writes how much of the GPU each has used, and when: a line
# "GUEST NANOSECONDS HOUR MINUTE SECOND" for each
used() {
	file=$1
	shift
	mark=$(($(wc -l <"$DAEMON_LOG") + 1))
	kill -USR1 "$(daemon_pid)"
	for g in "$@"; do
		id=$(of id "$g")
		until line=$(tail -n +$mark "$DAEMON_LOG" | grep -m 1 "event=stats domid=$id dev=0 "); do
			xl domid "$g" >/dev/null 2>&1 || break
			usleep 10000
		done
		echo "$g $(echo "$line" | sed 's/^ts=[^T]*T\(..\):\(..\):\([0-9.]*\)Z .* gpu_used_ns=\([0-9]*\).*/\4 \1 \2 \3/')"
	done >"$file"
}

# measure GUEST...: how they have shared the GPU since `used "$TMP/used.0" ...`:
# $worst is how far the worst is off what its weight says, per mille, and $busy
# how much of the time they had between them, per mille
measure() {
	used "$TMP/used.1" "$@"
	for g in "$@"; do
		echo "$g $(of weight "$g")"
	done >"$TMP/weights"
	table=$(awk '
		FILENAME ~ /weights/ { weight[$1] = $2; weights += $2; order[++n] = $1 }
		FILENAME ~ /used.0/ { used[$1] = -$2; from = 3600 * $3 + 60 * $4 + $5 }
		FILENAME ~ /used.1/ { used[$1] += $2; all += used[$1]; to = 3600 * $3 + 60 * $4 + $5 }
		END {
			seconds = to - from + (to < from ? 86400 : 0)
			for (i = 1; i <= n; i++) {
				g = order[i]
				share = all ? 1000 * used[g] / all : 0
				want = 1000 * weight[g] / weights
				off = 1000 * (share / want - 1)
				if (off < 0 ? -off > worst : off > worst)
					worst = off < 0 ? -off : off
				printf "%s: weight %d: %.1f per mille, %.1f wanted, off by %+.0f\n", g, weight[g], share, want, off
			}
			printf "in %.1f s: worst %.0f busy %.0f\n", seconds, worst, all / seconds / 1e6
		}' "$TMP/weights" "$TMP/used.0" "$TMP/used.1")
	worst=$(echo "$table" | sed -n 's/.*: worst \([0-9]*\) .*/\1/p')
	busy=$(echo "$table" | sed -n 's/.* busy \([0-9]*\)$/\1/p')
	echo "$table" >"$TMP/table"
	while IFS= read -r l; do say "$l"; done <"$TMP/table"
}

# windows CONDITION SECONDS GUEST...: measures until it holds, all the time since it
# was called, which grows from SECONDS to 16 times as long. Where the machine
# outside stalls, whoever has the GPU has it for long, or nobody has; who had it is
# charged for that, and others get theirs later: so a short look proves nothing.
windows() {
	condition=$1 length=$2
	seconds=$length next=$length
	shift 2
	# shellcheck disable=SC2046
	used "$TMP/used.0" $(alive "$@")
	while :; do
		sleep "$next"
		before=$guests
		# shellcheck disable=SC2046
		measure $(alive "$@")
		drop_lost
		if [ "$guests" != "$before" ]; then
			next=$length seconds=$length
			# shellcheck disable=SC2046
			used "$TMP/used.0" $(alive "$@")
		elif eval "$condition" || [ "$seconds" -ge $((16 * length)) ]; then
			break
		else
			next=$seconds seconds=$((2 * seconds))
		fi
	done
}

# shared LIMIT WHAT GUEST...: their shares are those of their weights, off by LIMIT
# per mille at most.
shared() {
	limit=$1 what=$2
	shift 2
	windows "[ \$worst -le $limit ] && [ \$busy -ge ${BUSY:-0} ]" 15 "$@"
	ok "[ $worst -le $limit ]" "$what: $(alive "$@" | tr '\n' ' ')"
}

# load_start GUEST...: each has two processes that always have work waiting
load_start() {
	for g in "$@"; do
		TIMEOUT=300 guest_bg "load$g" "$g" "load -p 2 -n $(of size "$g")"
	done
	for g in "$@"; do
		wait_for 30 "[ \$(job_out load$g | grep -c busy) = 2 ] || ! xl domid $g >/dev/null" "$g: is busy"
	done
	drop_lost
}

# load_stop WHAT GUEST...: every job of theirs was done, and right
load_stop() {
	what=$1
	shift
	for g in "$@"; do
		guest "$g" 'killall load'
	done
	for g in "$@"; do
		job_wait "load$g"
	done
	drop_lost
	for g in $(alive "$@"); do
		is "$(job_out "load$g" | grep -cE '^PASSED: [0-9]+ jobs .* 0 errors')" 2 "$g: all jobs of both processes are right, $what"
	done
}

guest_create a pv 128 "$(line a)"
guest_create d pv 128 "$(line d)"
guest_start b pvh 128 "$(line b)" || exit
guest_start c pvh 128 "$(line c)" || exit
guest_start e pv 128 "$(line e)" || exit
for g in $guests; do
	guest_ready $g || exit
	eval "id_$g=$(domid $g)"
	guest $g 'modprobe vgpufront'
	connected $g
done

say 'five guests at once, with several programs each'
for g in $guests; do
	TIMEOUT=120 guest_bg compute$g $g compute
	TIMEOUT=120 guest_bg small$g $g 'vgpu-vector-add -n 1024 -r 50'
	TIMEOUT=120 guest_bg large$g $g "vgpu-vector-add -a -t 2 -n $((300000 + $(of size $g))) -r 3"
	TIMEOUT=120 guest_bg odd$g $g "vgpu-vector-add -b -n $(of size $g) -r 8 --seed 7"
done
for g in $guests; do
	for job in compute small large odd; do
		job_wait $job$g
	done
done
drop_lost
for g in $guests; do
	is "$(job_out compute$g | grep -c '^not ok')" 0 "$g: general compute, every bit checked"
	like "$(job_out compute$g)" '^1\.\.[1-9]' "$g: to its end"
	is "$(job_out small$g | grep -c ' 1024 elements, 0 errors')" 50 "$g: fifty small sums"
	is "$(job_out large$g | grep -c ' 0 errors')" 6 "$g: large sums, on two streams"
	is "$(job_out odd$g | grep -c ' 0 errors')" 8 "$g: sums of shared buffers"
done

say 'all of them always have work waiting: shares of the GPU'
# shellcheck disable=SC2086
load_start $guests
# shellcheck disable=SC2086
BUSY=900 shared 50 'every share is within 5 % of what its weight says' $guests
ok "[ $busy -ge 900 ]" 'and the GPU was not idle between them'

say 'a device is detached and attached while the others work'
load_stop 'beside the others' d
for i in 1 2 3; do
	dom0 'vgpuctl detach d'
	succeeds "detach, $i"
	dom0 'vgpuctl attach d weight=512,mem=64M'
	succeeds "attach, $i"
	connected d " again, $i"
	guest d 'vgpu-vector-add -n 5000'
	see 'PASSED: 5000 elements, 0 errors' "works, $i"
done
load_start d
# shellcheck disable=SC2046
load_stop 'beside devices that came and went' a $(alive c)

say 'one guest attacks the backend, another one its own module'
guest a 'echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront && modprobe -a xen-evtchn xen-gntalloc'
succeeds 'a: gives up its driver for a hostile one'
TIMEOUT=200 guest_bg evil a 'while [ ! -e /tmp/stop ]; do evil_front -t 2 ring; done'
TIMEOUT=200 guest_bg abuse c 'while [ ! -e /tmp/stop ]; do lib_abuse; done'
file_wait 60 "$TMP/job.evil.out" '^ok ' 'a: attacks'
shared 100 'no share of the others is off by more than 10 %' b d e
# shellcheck disable=SC2046
load_stop 'beside hostile guests' $(alive b d e)
guest a 'touch /tmp/stop; killall -KILL evil_front'
job_wait evil
[ -z "$(alive c)" ] || guest c 'touch /tmp/stop'
job_wait abuse
drop_lost
if [ "$(alive c)" ]; then
	is "$(job_out abuse | grep -c '^not ok')" 0 'c: abuse is answered with errors'
	like "$(job_out abuse)" '^1\.\.[1-9]' 'c: to its end'
fi

say 'a guest with a cap, alone'
load_start d
dom0 'vgpuctl set d cap=20'
succeeds 'the cap is set while it works'
daemon_says 10 "event=config domid=$id_d .*node=cap .*value=20" 'and taken'
windows '[ $busy -ge 180 ] && [ $busy -le 220 ]' 10 d
ok "[ $busy -ge 180 ] && [ $busy -le 220 ]" 'a cap of 20: it gets 20 % of the time, though nobody else wants any'
load_stop 'with a cap' d

# shellcheck disable=SC2086
guest_stop $guests
