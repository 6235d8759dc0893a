# SPDX-License-Identifier: MIT
# limit: 400
# Guests saved, restored, moved by xl: programs are told, the device comes back,
# no result is lost and nothing is left behind.
# shellcheck shell=sh

. /bed/lib/xl.sh

guest_start b pv 128 'vgpu = [ "weight=300" ]'
works b 'a PV guest'
guest_start c pvh 128 'vgpu = [ "weight=100" ]'
works c 'a PVH guest'
for g in b c; do
	idle=$(idle_grants $g)
	busy $g
	TIMEOUT=100 dom0 "xl save -c $g $TMP/save"
	succeeds "$g: xl save -c"
	undisturbed $g "$g: a checkpoint disturbs no program"
	rm "$TMP/save"

	TIMEOUT=100 dom0 "xl save $g $TMP/save"
	succeeds "$g: xl save"
	TIMEOUT=100 dom0 "xl restore $TMP/save"
	succeeds "$g: xl restore"
	told $g "$g, restored"
	works $g "$g, restored"
	kept $g "$g, restored"
	tree "$g, restored"
	rm "$TMP/save"
done

busy b
TIMEOUT=100 dom0 "xl save b $TMP/save"
daemon_stop
TIMEOUT=100 dom0 "xl restore $TMP/save"
told b 'b, restored while vgpubackd is away'
guest b 'while [ -e /dev/vgpufront ]; do sleep 0.1; done'
succeeds 'b, restored while vgpubackd is away: it has no device'
daemon_start
works b 'b, when vgpubackd is back'
kept b 'b, when vgpubackd is back'
rm "$TMP/save"

# A PV guest cannot be moved while it runs: Debian's Xen has no shadow paging.
# Both domains have the same UUID for a while.
guest c '(keep >/tmp/keep 2>&1; echo "status $?" >>/tmp/keep) >/dev/null 2>&1 </dev/null &
	until [ -s /tmp/keep ]; do sleep 0.1; done'
ln -s guest-c.log /var/log/xen/console/guest-c--incoming.log
TIMEOUT=120 dom0 "xl migrate -s '' c 'exec xl migrate-receive'"
succeeds 'c: xl migrate'
guest c 'until grep -q ^status /tmp/keep; do sleep 0.1; done; tail -n 2 /tmp/keep'
see '^lost after [0-9]+ rounds, 0 errors$' 'c, moved: a program is told, and all results it had are right'
works c 'c, moved'
kept c 'c, moved'
tree 'c, moved'
recorded c 'weight=100' 'c, moved: remembered by its own name'

guest_stop b c
no_leaks 'xl destroy leaves nothing behind'
