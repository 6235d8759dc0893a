# SPDX-License-Identifier: MIT
# The interactive dom0 of `make bed-shell`: starts the daemon and a connected
# guest, says how to use them, and gives the terminal to a shell.
NO_DAEMON=1
. /bed/lib/bed.sh
test_begin shell >/dev/null
trap - TERM EXIT
exec 3>/dev/null 4>/dev/null
if [ -x /usr/sbin/vgpubackd ]; then
	daemon_start
	guest_start g1 pv 256 'vgpu = [ "gpu=0,mem=256M" ]' && guest g1 'modprobe vgpufront; vgpu-smi'
else
	guest_start g1 pv 256
fi
cat <<'END'

This is dom0 of a real Xen in QEMU. Guest g1 runs. Quit with Ctrl-A x.
  guest-exec g1 'COMMAND'      runs a command in the guest
  xenstore-ls -fp, xl list, vgpuctl list, tail -f $DAEMON_LOG
  xl console g1                what the guest's console says (leave with Ctrl-])
  . /bed/lib/bed.sh            the functions of bed tests: guest_start, guest ...
END
export DAEMON_LOG TMP LOG PS1='dom0# '
while :; do
	setsid cttyhack sh
done
