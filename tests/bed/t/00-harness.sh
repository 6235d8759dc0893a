# SPDX-License-Identifier: MIT
# The harness itself: guests, their output, time limits, and that failures fail
# limit: 120
# shellcheck shell=sh

# nested NAME SECONDS: runs the script on stdin as a test of its own; $out is its TAP
nested() {
	cat >"/bed/t/$1.sh"
	rm -rf "/bed/log/$1" "/run/bed/$1" # of a run before this one
	STREAM=/dev/null NO_DAEMON=1 confine "$2" $((20 * patience)) sh /bed/lib/test.sh "$1" >"/bed/log/$1.log" 2>&1 </dev/null
	rc=$?
	out=$(cat "/bed/log/$1/tap")
}

guest_start g1 pv 128
guest g1 'echo one; echo two >&2; printf three; exit 7'
status 7 'a command in a guest ends with its own status'
is "$out" "one
two
three" 'all its output comes back, from stdout and stderr'
guest g1 'printf "a\\\\tb\001c\n" | od -An -tx1; echo "[99]= 0"; echo "quote '"'"' \$HOME"'
see '^ 61 5c 74 62 01 63 0a$' 'control characters and backslashes pass both ways'
see '^\[99\]= 0$' "output that looks like the agent's own lines is only output"
guest g1 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i of a long output"; done'
is "$(echo "$out" | md5sum)" "$(seq 3000 | sed 's/.*/line & of a long output/' | md5sum)" \
	'a long output is complete and in order'
TIMEOUT=2 guest g1 'echo before; sleep 100000'
status 124 'a command that hangs is ended by its time limit'
see '^before$' 'with its output till then'
guest g1 'while pidof sleep >/dev/null; do usleep 50000; done'
succeeds 'and it is dead in the guest'

guest_start g2 pvh 128
for g in g1 g2; do
	for i in 1 2 3; do
		guest_bg $g$i $g "for k in 1 2 3 4; do echo $g$i; usleep 20000; done; exit $i"
	done
done
for g in g1 g2; do
	for i in 1 2 3; do
		job_wait $g$i
		is "$rc:$(echo "$out" | sort | uniq -c | tr -s ' ')" "$i: 4 $g$i" \
			"commands side by side in two guests keep apart ($g, $i)"
	done
done
ok '[ "$(grants_mapped g1)" = 2 ]' 'dom0 maps two pages of a bare guest: console and xenstore'

guest_bg gone g2 'echo begun; sleep 100000'
file_wait 30 "$TMP/job.gone.out" '^begun$' 'a command runs'
guest_stop g2
job_wait gone
status 125 'and ends when its guest is destroyed'

guest g1 'echo "<4>Oops: made up" >/dev/kmsg'
expect_log 'g1: .*Oops: made up'

guest_stop g1
no_leaks

nested self-fail $((30 * patience)) <<'END'
is 1 2 'one is two'
see nothing 'output'
pass 'a good one'
END
see '^not ok 1 - one is two' 'a failing check fails its test'
see '^not ok 2' 'and so does the next'
see '^ok 3' 'while the rest goes on'
see '^1\.\.4$' 'with a whole plan'

nested self-hang $((5 * patience)) <<'END'
sleep 100000
END
see '^not ok 1 - the test ends within its time limit' 'a hanging test is ended and fails'

nested self-error $((30 * patience)) <<'END'
pass 'a good one'
pass $((one two))
END
see '^not ok 2 - the test runs to its end' 'a test with an error in its script fails'

nested self-kernel $((30 * patience)) <<'END'
echo '<4>WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg
END
see '^not ok 1 - no kernel' 'a kernel warning fails the test'

nested self-leak $((90 * patience)) <<'END'
guest_start g3 pv 128
patience=1 # for what will not come
no_leaks
END
see '^not ok 1 - nothing is left' 'a guest left running counts as a leak'

# died RIP: what Xen says when QEMU loses a guest, and other triple faults
died='died() { printf "(XEN) d9v0 Triple fault - made up\n(XEN) RIP:    %s\n" "$1" >>"$LOG/xen.log"; }
	expect_log "g1: .*Oops: made up"'
kernel='0010:[<ffffffff81a43c83>]' module='0010:[<ffffffffc0201234>]'

nested self-lost $((30 * patience)) <<END
$died
died '$kernel'
is 1 2 'what fails then'
pass 'not reached'
END
unseen 'not reached' 'a test in which QEMU lost a guest ends at its next failure'
ok '[ -e /bed/log/self-lost/lost-guest ]' 'and will be run again'

nested self-before $((30 * patience)) <<END
$died
is 1 2 'what fails before'
died '$kernel'
is 1 2 'what fails then'
END
nested self-module $((30 * patience)) <<END
$died
died '$module'
is 1 2 'what fails then'
END
nested self-oops $((30 * patience)) <<END
$died
died '$kernel'
echo '<4>WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg
END
for why in before module oops; do
	like "$(cat /bed/log/self-$why/tap)" '^not ok' "a failure, an oops, a death in a module fail a test ($why)"
	ok "[ ! -e /bed/log/self-$why/lost-guest ]" "and it will not be run again ($why)"
done
