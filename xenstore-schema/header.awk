# SPDX-License-Identifier: MIT
#
# With parse.awk: prints the nodes' names and ranges as macros (want=names) or the rules as
# the C table that check.c includes (want=table).

function macro(name)
{
	sub(/-?<N>$/, "-fmt", name)
	gsub(/-/, "_", name)
	return "VGPU_NODE_" toupper(name)
}

# "backend InitWait Connected" as the initialiser of a struct schema_when
function when(text,    w, n, k, bits)
{
	if (text == "")
		return "{ 0, 0 }"
	if (text == "always")
		return "{ SCHEMA_ALWAYS, SCHEMA_ALWAYS }"
	n = split(text, w, " ")
	bits = states(w, 2, n)
	return w[1] == "backend" ? "{ " bits ", 0 }" : "{ 0, " bits " }"
}

function states(w, from, n,    k, bits)
{
	for (k = from; k <= n; k++)
		bits = bits (bits == "" ? "" : " | ") "1u << " state_code[w[k]]
	return bits
}

function c64(text)
{
	return text ~ /^[0-9]+$/ ? text "ull" : text
}

# the type as the initialisers of the fields type, min, max, words
function type(text,    w, n)
{
	n = split(text, w, " ")
	if (w[1] == "uint")
		return sprintf(".type = SCHEMA_UINT, .min = %s, .max = %s",
			       c64(w[2]), c64(w[3]))
	if (w[1] == "text")
		return sprintf(".type = SCHEMA_TEXT, .min = 1, .max = %s - 1",
			       c64(w[2]))
	if (w[1] == "state")
		return sprintf(".type = SCHEMA_STATE, .min = %s",
			       states(w, 2, n))
	sub(/^[a-z]+ ?/, "", text)
	return sprintf(".type = SCHEMA_%s, .words = \"%s\"", toupper(w[1]), text)
}

# of a number: what it may be, and what it is where the node is missing
function bounds(macro_name, text, missing,    w)
{
	split(text, w, " ")
	if (w[1] == "uint") {
		printf "#define %s_MIN %s\n", macro_name, c64(w[2])
		printf "#define %s_MAX %s\n", macro_name, c64(w[3])
	}
	if (missing != "")
		printf "#define %s_DEFAULT %s\n", macro_name, c64(missing)
}

function emit(    i, name)
{
	print "/* SPDX-License-Identifier: MIT */"
	print "/* Made from xenstore-schema/vgpu.schema; do not edit. */"
	if (want == "names") {
		print "#ifndef VGPU_NODES_H\n#define VGPU_NODES_H\n"
		for (i = 1; i <= nsect; i++) {
			name = node[i]
			if (name == "" || macro(name) in seen)
				continue
			seen[macro(name)] = 1
			sub(/<N>/, "%u", name)
			printf "#define %s \"%s\"\n", macro(node[i]), name
			bounds(macro(node[i]), f[i, "type"], f[i, "default"])
		}
		print "\n#endif"
		return
	}
	print "static const struct schema_node schema_nodes[] = {"
	for (i = 1; i <= nsect; i++) {
		name = node[i]
		if (name == "")
			continue
		printf "\t{ .side = SCHEMA_%s, ", toupper(side[i])
		if (sub(/<N>$/, "", name))
			printf ".numbered = true, "
		printf ".name = \"%s\",\n\t  %s,\n\t  .required = %s, .absent = %s },\n",
		       name, type(f[i, "type"]), when(f[i, "required"]),
		       when(f[i, "absent"])
	}
	print "};"
}
