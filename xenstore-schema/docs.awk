# SPDX-License-Identifier: MIT
#
# With parse.awk: prints docs/xenstore.md.

function show_bound(text)
{
	return (text in num) ? num[text] " (`" text "`)" : text
}

function show_type(text,    w, n, k, s)
{
	n = split(text, w, " ")
	if (w[1] == "uint")
		return "number, " w[2] " … " show_bound(w[3])
	if (w[1] == "bool")
		return "0 or 1"
	if (w[1] == "path")
		return "path of the " w[2] " directory"
	if (w[1] == "text")
		return "text, shorter than " show_bound(w[2]) " octets"
	if (w[1] == "pair")
		return "`<major>.<minor>`"
	if (w[1] == "directory")
		return "directory"
	if (w[1] == "list")
		return w[2] == "uint" ? "list of numbers" : "list of names (`" w[2] "`)"
	if (w[1] == "state") {
		for (k = 2; k <= n; k++)
			s = s (k > 2 ? ", " : "") state_code[w[k]] " (" w[k] ")"
		return s
	}
	for (k = 2; k <= n; k++)
		s = s (k > 2 ? ", " : "") "`" w[k] "`"
	return s
}

function show_when(text,    w, n, k, s)
{
	if (text == "always")
		return text
	n = split(text, w, " ")
	for (k = 2; k <= n; k++)
		s = s (k > 2 ? " or " : "") w[k]
	return "while the " w[1] " is " s
}

function show_need(i)
{
	if ((i, "required") in f)
		return show_when(f[i, "required"])
	if (!((i, "absent") in f))
		return "optional"
	if (f[i, "absent"] == "always")
		return "reserved, must not exist"
	return "not " show_when(f[i, "absent"])
}

function comma(text)
{
	gsub(/ /, ", ", text)
	return text
}

function emit(    i)
{
	print "<!-- Made from xenstore-schema/vgpu.schema with `make schema-docs`; do not edit. -->"
	print "# Xenstore nodes of the vgpu device class\n"
	print "Numbers are decimal, without sign, leading zeros or white space; whatever"
	print "else is found there is refused. Lists are separated by single spaces."
	print "How the two sides use the nodes to connect is described in"
	print "`include/xen/io/vgpuif.h`. `vgpu-xenstore-check`, run in dom0, holds the"
	print "live xenstore against exactly this page: names, values, what must exist"
	print "in which state, and permissions.\n"
	print "xenbus states: 1 Initialising, 2 InitWait, 3 Initialised, 4 Connected,"
	print "5 Closing, 6 Closed."
	for (i = 1; i <= nsect; i++) {
		if (node[i] == "") {
			printf "\n## %s directory\n\n", side[i] == "backend" ? "Backend" : "Frontend"
			printf "`%s`\n\n%s\n\n", f[i, "path"], f[i, "meaning"]
			printf "Permissions of the directory and of every node in it: "
			printf "owned by the %s's domain, readable by the %s's domain, closed to all others.\n\n", f[i, "owner"], f[i, "reader"]
			print "| node | written by | read by | value | default | must exist | meaning |"
			print "| --- | --- | --- | --- | --- | --- | --- |"
			continue
		}
		printf "| `%s` | %s | %s | %s | %s | %s | %s |\n", node[i],
		       comma(f[i, "writer"]), comma(f[i, "reader"]),
		       show_type(f[i, "type"]), f[i, "default"], show_need(i),
		       f[i, "meaning"]
	}
}
