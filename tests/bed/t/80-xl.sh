# SPDX-License-Identifier: MIT
# limit: 400
# Guests created, rebooted, renamed by xl keep their devices;
# then devices changed while they work, and what administrators get wrong.
# shellcheck shell=sh

. /bed/lib/xl.sh

# quota NAME MIB WHAT: the guest is told so: its worker knows, too
quota() {
	wait_for 10 "guest $1 vgpu-smi >/dev/null; echo \"\$out\" | grep -q 'Quota *| $2 MiB'" "$3"
}

# --- created, rebooted, renamed ----------------------------------------------

guest_start a pv 128 'vgpu = [ "gpu=0,weight=512,cap=50,mem=64M" ]'
works a 'vgpuctl create'
recorded a 'weight=512' 'the device is remembered'
for how in 'guest a "reboot -f"' 'dom0 "xl reboot a"'; do
	note a
	eval "$how"
	came_back a "$how"
	is "$(xenstore-read "$(be a)/weight" "$(be a)/cap" "$(be a)/mem" | xargs)" '512 50 67108864' "$how: the same device"
done

dom0 'xl rename a b'
recorded b 'weight=512' 'the record follows a new name'
unlike "$(cat $records)" '^device [^ ]+ a ' 'and the old one is forgotten'
dom0 'xl shutdown -w b'
succeeds 'xl shutdown'
no_leaks 'xl shutdown leaves nothing behind'
recorded b 'weight=512' 'and the device is still remembered'

sed -i -e '/^vgpu/d' -e 's/"a"/"b"/' "$TMP/a.cfg"
dom0 "xl create $TMP/a.cfg"
guest_ready b
works b 'plain xl create'
is "$(xenstore-read "$(be b)/weight")" 512 'plain xl create: the same device'

# --- changed while it works --------------------------------------------------

busy b
dom0 'vgpuctl set b weight=300,cap=40,mem=32M'
succeeds 'vgpuctl set'
daemon_says 5 "event=config domid=$(domid b) .*node=weight .*value=300" 'vgpubackd takes the new weight'
daemon_says 5 "event=config domid=$(domid b) .*node=cap .*value=40" 'and cap'
daemon_says 5 "event=config domid=$(domid b) .*node=mem .*value=33554432" 'and mem'
is "$(xenstore-read "$(be b)/weight" "$(be b)/cap" "$(be b)/mem" | xargs)" '300 40 33554432' 'xenstore has them'
recorded b 'mem=.*weight=300,cap=40' 'and they are remembered'
quota b 32 'the guest sees its quota'

guest b '(load -n 1048576 >/tmp/load 2>&1; echo "status $?" >>/tmp/load) >/dev/null 2>&1 </dev/null &
	until grep -q busy /tmp/load; do sleep 0.1; done'
dom0 'vgpuctl set b mem=4M'
succeeds 'mem below what is in use'
daemon_says 5 "event=config domid=$(domid b) .*node=mem .*value=4194304" 'vgpubackd takes it'
quota b 4 'the guest sees that'
guest b 'vgpu-bandwidth -s 1M -r 1'
see 'quota' 'no further memory is given'
guest b 'killall -TERM load; until grep -q ^status /tmp/load; do sleep 0.1; done; cat /tmp/load'
see '^PASSED: .* 0 errors' 'what was given stays, and works'
wait_for 10 "guest b 'vgpu-bandwidth -s 1M -r 1'" 'and there is room when it has been given back'
undisturbed b 'none of this disturbed the program that was at work'

dom0 'vgpuctl set b weight=0'
fails 'set: a wrong value'
see 'weight=0' 'names key and value'
dom0 'vgpuctl set b mem=1000G'
fails 'set: more memory than the GPU has'
see 'mem' 'names the key'
dom0 'vgpuctl set b gpu=1'
fails 'set: what cannot change'
see 'gpu.*unknown|gpu.*(weight|mem)' 'names what can'
is "$(xenstore-read "$(be b)/weight" "$(be b)/cap" "$(be b)/mem" | xargs)" '300 40 4194304' 'none of these changed anything'

# --- mistakes ----------------------------------------------------------------

cat >"$TMP/bad.cfg" <<-END
	name = "bad"
	type = "pv"
	memory = 128
	kernel = "/boot/vmlinux"
	vgpu = [ "gpu=0",
	         "mem=1G,weight=70000" ]
END
dom0 "vgpuctl create $TMP/bad.cfg"
fails 'a bad device line'
see 'bad.cfg:[56].*weight=70000' 'the message names file, line, key and value'
dom0 'xl list bad'
fails 'and no domain is made'
dom0 'vgpuctl attach b gpu=7'
fails 'a GPU that is not there'
see 'refused.* GPU' 'the message says so'
dom0 'vgpuctl attach b mem=1000G'
fails 'more memory than the GPU has'
see 'mem' 'the message names it'
is "$(xenstore-list "/local/domain/0/backend/vgpu/$(domid b)" | xargs)" 0 'none of this left a device'
is "$(grep -c '^device .* b ' $records)" 1 'nor a record'

# The record of c is c's, whatever b is called now.
sed 's/"b"/"c"/' "$TMP/a.cfg" >"$TMP/c.cfg"
dom0 "xl create -p $TMP/c.cfg"
dom0 'vgpuctl attach c weight=100'
recorded c 'weight=100' 'another domain is remembered'
guest_stop c
dom0 'xl rename b c'
recorded c 'weight=300' 'a guest takes the name of a remembered one: the record is its own'
note c
dom0 'xl reboot c'
came_back c 'rebooted with the name of a remembered one'
is "$(xenstore-read "$(be c)/weight")" 300 'it has its own device: the UUID counts'

# The state file: damaged, or of a later version. c works on.
busy c
for what in damaged newer; do
	cp $records "$TMP/records"
	case $what in
	damaged) sed -i 's/^device /device x/' $records; why='2: .* is no UUID' ;;
	newer) sed -i '1s/1$/2/' $records; why='1: is of version 2' ;;
	esac
	sum=$(md5sum $records)
	dom0 'vgpuctl set c cap=10'
	fails "state file $what: vgpuctl says so"
	see "$records:$why" "state file $what: and where"
	# A domain that comes makes vgpubackd look for it.
	sed 's/"b"/"d"/' "$TMP/a.cfg" >"$TMP/d.cfg"
	dom0 "xl create -p $TMP/d.cfg"
	daemon_says 5 "level=(warn|error) .*$records:$why" "state file $what: vgpubackd says so"
	guest_stop d
	is "$(md5sum $records)" "$sum" "state file $what: it is not touched"
	cp "$TMP/records" $records
done
undisturbed c 'nothing of this disturbed the program that was at work'

# Nodes removed by hand, and a permission taken away. c works on.
CREATE=xl guest_start e pv 128
dom0 'vgpuctl attach e'
works e 'a guest beside it'
dom0 "xenstore-chmod $(be e)/state n0"
wait_for 10 "[ \"\$(xenstore-read $(fe e)/state)\" != 4 ]" 'a state that the guest may not read: it closes'
dom0 vgpu-xenstore-check
fails 'vgpu-xenstore-check finds the wrong permission'
see 'state' 'and names the node'
dom0 "xenstore-chmod $(be e)/state n0 r$(domid e)"
works e 'when it may again'
dom0 "xenstore-rm $(be e)"
xs_gone 10 "$(be e)/state" 'the backend directory is removed by hand'
wait_for 10 "! guest e 'vgpu-vector-add -n 10'" 'that guest has no device'
dom0 'vgpuctl detach e'
dom0 'vgpuctl attach e'
succeeds 'it can be attached again'
works e 'after the backend directory was removed'
dom0 "xenstore-rm $(fe e)"
wait_for 10 "! pidof vgpu-worker | grep -q ' '" 'the frontend directory is removed by hand: its worker ends'
dom0 'vgpuctl detach e'
dom0 'vgpuctl attach e'
succeeds 'it can be attached again'
works e 'after the frontend directory was removed'
undisturbed c 'nor did this'

guest_stop c e
no_leaks 'xl destroy leaves nothing behind'
dom0 'vgpuctl forget c'
fails 'forget: a name that two of the remembered have'
awk '$1 == "device" { print $2 }' $records | sort -u >"$TMP/uuids"
while read -r uuid; do
	dom0 "vgpuctl forget $uuid"
done <"$TMP/uuids"
unlike "$(cat $records)" '^device' 'by their UUIDs all are forgotten'
