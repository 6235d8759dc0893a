#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Is docs/xenstore.md what the schema says today, and does the schema's parser
# refuse a broken schema? Runs from the top directory; writes only in a
# temporary directory.
dir=xenstore-schema
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0

t() { # t STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

docs() { # docs SCHEMA
	awk -f $dir/parse.awk -f $dir/docs.awk include/xen/io/vgpuif.h "$1"
}

refused() { # refused NAME SED-EXPRESSION MESSAGE
	sed "$2" $dir/vgpu.schema > "$tmp/broken.schema"
	if docs "$tmp/broken.schema" > "$tmp/out" 2> "$tmp/err"; then
		t 1 "$1 (accepted)"
	else
		grep -q "$3" "$tmp/err"
		t $? "$1"
	fi
}

echo 1..7
docs $dir/vgpu.schema > "$tmp/xenstore.md" && cmp -s "$tmp/xenstore.md" docs/xenstore.md
rc=$?
t $rc "docs/xenstore.md is what make schema-docs writes"
[ $rc = 0 ] || diff -u docs/xenstore.md "$tmp/xenstore.md" | sed 's/^/# /'
refused "a section twice" 's/^\[backend mem\]/[backend gpu]/' 'is there twice'
refused "an unknown field" 's/^reader /raeder /' 'unknown field raeder'
refused "an unknown type" 's/= bool/= boolean/' 'bad type boolean'
refused "an unknown limit" 's/VGPU_NAME_LEN/VGPU_NAME_LENGTH/' 'bad type text VGPU_NAME_LENGTH'
refused "an unknown state" 's/= backend InitWait/= backend Waiting/' 'no state Waiting'
refused "a node without meaning" '/^meaning  = 0 asks/,/^$/d' 'mandatory'
