#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the module for each kernel version given, in a copy of its sources
# (B/kmod-check/VERSION), with all warnings and sparse, and runs the kernel's
# checkpatch where its source is found. Anything they say is a failure. Run by
# `make kmod-check`.
set -u
status=0

check_build() {
	dir=$PWD/$B/kmod-check/$1
	make -C "/lib/modules/$1/build" M="$dir" W=1 C=2 modules >"$dir.log" 2>&1
	rc=$?
	# The packaged headers name the compiler that built the kernel, and have no vmlinux.
	said=$(grep -E 'warning:|error:' "$dir.log" | grep -v 'the compiler differs' || true)
	if [ $rc -ne 0 ] || [ -n "$said" ]; then
		cat "$dir.log"
		echo "kmod-check: $1: not clean"
		return 1
	fi
	echo "kmod-check: $1: no warnings (W=1, sparse)"
}

if [ $# -eq 0 ]; then
	echo 'kmod-check: no kernel headers (apt-get install linux-headers-amd64)' >&2
	exit 1
fi
if ! command -v sparse >/dev/null; then
	echo 'kmod-check: no sparse (apt-get install sparse)' >&2
	exit 1
fi
for kver; do
	check_build "$kver" || status=1
done

for checkpatch in /usr/src/*/scripts/checkpatch.pl /usr/src/*/*/scripts/checkpatch.pl; do
	[ -f "$checkpatch" ] && break
done
if [ -f "$checkpatch" ]; then
	set --
	for f in frontend-kmod/*.[ch]; do
		[ "$f" = frontend-kmod/vgpufront_trace.h ] || set -- "$@" "$f"
	done
	# It does not know tables made by macros, xenbus's names, and sources that also
	# compile outside the kernel.
	perl "$checkpatch" --no-tree --strict --terse --no-summary \
		--ignore COMPLEX_MACRO,MACRO_ARG_REUSE,BRACKET_SPACE,CAMELCASE,PREFER_KERNEL_TYPES,VOLATILE,BIT_MACRO,LINUX_VERSION_CODE,CONSTANT_COMPARISON \
		-f "$@" && echo 'kmod-check: checkpatch has nothing to say' || status=1
fi
# What it leaves in the working folder, as it takes it for a kernel tree.
rm -f .checkpatch-camelcase.*
exit $status
