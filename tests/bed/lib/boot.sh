# SPDX-License-Identifier: MIT
# First thing of the bed in dom0, from dom0's init: hands over to what the run
# is for. Files the machine outside left in /bed: mode, plan, lib/, t/.
cd /
if [ "$(cat /bed/mode)" = shell ]; then
	. /bed/lib/shell.sh
fi
sh /bed/lib/main.sh
poweroff -f
