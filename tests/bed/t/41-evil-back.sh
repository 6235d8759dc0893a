# SPDX-License-Identifier: MIT
# limit: 600
# A hostile backend attacks a guest's vgpufront: wrong responses, a producer
# index out of range, garbage in its nodes, silence, leaving. The guest's kernel
# stays whole, its programs see an error and do not hang, and a good backend is
# served afterwards.
# shellcheck shell=sh

# The guest uses the device for as long as the attack goes on. vgpufront does
# not connect again to a backend that broke the protocol, or that was refused
# three times, until the driver is bound anew. While it negotiates it is left
# alone, however long that takes.
users='cd /sys/bus/xen/drivers/vgpufront
while [ ! -e /tmp/stop ]; do
	case $(xenstore-read device/vgpu/0/state) in
	4)
		/usr/lib/bed/lib_abuse quiet
		[ "$(xenstore-read device/vgpu/0/state)" = 4 ] &&
			vgpu-vector-add -n 1024 >/tmp/add 2>&1 && echo "passed: $(cat /tmp/add)"
		;;
	6)
		echo vgpu-0 >unbind
		echo vgpu-0 >bind
		;;
	esac
	usleep 50000
done 2>/dev/null'

# attack NAME...: by evil_back, with programs in the guest using the device
attack() {
	guest victim 'rm -f /tmp/stop'
	TIMEOUT=400 guest_bg users victim "$users"
	TIMEOUT=360 dom0 "evil_back $* "
	relay "evil_back $*"
	guest victim 'touch /tmp/stop'
	job_wait users
	succeeds 'no program in the guest is stuck'
	unseen '^passed' 'no program took the hostile backend for right'
	guest victim 'cat /proc/uptime'
	succeeds 'the guest is alive'
}

guest_start victim pv 192 'vgpu = [ "gpu=0" ]'
guest victim 'modprobe vgpufront'
xs_wait 20 "$(be victim)/state" '^4$' 'connected to the good backend'

# The daemon leaves (the guest sees Closing), and evil_back takes its place.
daemon_stop
succeeds 'vgpubackd ends'
back=$(be victim)
attack "$back" foreign-id wrong-op duplicate unasked
attack "$back" bad-status reserved prod-far prod-back prod-half
# The answer to a FENCE has quiet requests to retire.
attack -o 6 "$back" retired retired-more retired-ahead
attack -t 2 "$back" close-middle never storm scribble
attack "$back" states nodes

# A backend that dies tells nobody: programs wait until there is one again.
guest victim 'rm -f /tmp/stop'
TIMEOUT=200 guest_bg users victim "$users"
TIMEOUT=60 dom0 "evil_back $back vanish"
relay 'evil_back vanish'
daemon_start
guest victim 'touch /tmp/stop'
job_wait users
succeeds 'the program that waited ends when a backend comes back'
guest victim 'cd /sys/bus/xen/drivers/vgpufront && echo vgpu-0 >unbind && echo vgpu-0 >bind'
xs_wait 30 "$(fe victim)/state" '^4$' 'connected to the good backend again'
guest victim 'vgpu-vector-add -n 1048576'
see 'Vector add PASSED: 1048576 elements, 0 errors' 'and its results are right'
guest victim 'echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront'
succeeds 'the module can be unloaded'
