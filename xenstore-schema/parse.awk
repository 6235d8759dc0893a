# SPDX-License-Identifier: MIT
#
# Reads vgpuif.h and then vgpu.schema into arrays; header.awk and docs.awk print
# them. Owns the schema's grammar, and must never know about an output format.
#
# After the last line: nsect, sect[i] ("side" or "side node"), side[i], node[i],
# and f[i, field]. num[macro] are the plain numbers that vgpuif.h defines.

function fail(text)
{
	printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
	failed = 1
	exit 1
}

BEGIN {
	split("path owner reader writer type required absent default meaning",
	      tmp, " ")
	for (i in tmp)
		field_ok[tmp[i]] = 1
	split("Initialising InitWait Initialised Connected Closing Closed",
	      tmp, " ")
	for (i in tmp)
		state_code[tmp[i]] = i
}

FILENAME ~ /\.h$/ {
	if ($1 == "#define" && NF == 3 && $3 ~ /^[0-9]+$/)
		num[$2] = $3
	next
}

/^#/ || /^[ \t]*$/ { next }

/^\[/ {
	if ($0 !~ /^\[(backend|frontend)( [a-z<>N-]+)?\]$/)
		fail("bad section " $0)
	name = substr($0, 2, length($0) - 2)
	if (name in index_of)
		fail("section " $0 " is there twice")
	sect[++nsect] = name
	index_of[name] = nsect
	split(name, tmp, " ")
	side[nsect] = tmp[1]
	node[nsect] = tmp[2]
	last = ""
	next
}

/^[ \t]/ {
	if (last == "")
		fail("nothing to continue")
	sub(/^[ \t]+/, "")
	f[nsect, last] = f[nsect, last] " " $0
	next
}

{
	if ($0 !~ /^[a-z]+ *= ./)
		fail("neither section nor field")
	last = $1
	if (!nsect || !(last in field_ok))
		fail("unknown field " last)
	if ((nsect, last) in f)
		fail("field " last " is there twice")
	sub(/^[a-z]+ *= */, "")
	f[nsect, last] = $0
}

# Is text a number, or a macro that stands for one?
function bound(text)
{
	return text ~ /^[0-9]+$/ || (text in num)
}

function check_states(i, text,    w, n, k)
{
	n = split(text, w, " ")
	if (text == "always")
		return
	if (n < 2 || (w[1] != "backend" && w[1] != "frontend"))
		fail("[" sect[i] "]: bad condition " text)
	for (k = 2; k <= n; k++)
		if (!(w[k] in state_code))
			fail("[" sect[i] "]: no state " w[k])
}

function check_type(i,    w, n, k)
{
	n = split(f[i, "type"], w, " ")
	if (w[1] == "uint" && n == 3 && bound(w[2]) && bound(w[3]))
		return
	if (w[1] == "text" && n == 2 && bound(w[2]))
		return
	if ((w[1] == "bool" || w[1] == "pair" || w[1] == "directory") && n == 1)
		return
	if (w[1] == "path" && n == 2)
		return
	if (w[1] == "word" && n >= 2)
		return
	if (w[1] == "list" && n == 2)
		return
	if (w[1] == "state" && n >= 2) {
		for (k = 2; k <= n; k++)
			if (!(w[k] in state_code))
				fail("[" sect[i] "]: no state " w[k])
		return
	}
	fail("[" sect[i] "]: bad type " f[i, "type"])
}

END {
	if (failed)
		exit 1
	for (i = 1; i <= nsect; i++) {
		if (!((i, "meaning") in f) || !((i, "reader") in f))
			fail("[" sect[i] "]: reader and meaning are mandatory")
		if (node[i] == "") {
			if (!((i, "path") in f) || !((i, "owner") in f))
				fail("[" sect[i] "]: path and owner are mandatory")
			continue
		}
		if (!((i, "writer") in f) || !((i, "type") in f))
			fail("[" sect[i] "]: writer and type are mandatory")
		check_type(i)
		if ((i, "required") in f)
			check_states(i, f[i, "required"])
		if ((i, "absent") in f)
			check_states(i, f[i, "absent"])
	}
	if (!nsect)
		fail("no section")
	emit()
}
