/* SPDX-License-Identifier: MIT */
/*
 * rules.c - whether a name and a value obey the schema
 *
 * Owns the table that is generated from vgpu.schema. Pure functions; must
 * never look at xenstore.
 */
#include "rules.h"

#include <string.h>

#include <xen/io/vgpuif.h>

#include "values.h"
#include "vgpu_schema_table.h"

const struct schema_node *const schema_node_table = schema_nodes;
const size_t schema_node_count = sizeof(schema_nodes) / sizeof(schema_nodes[0]);

static const char *const op_names[] = {
#define NAME(name, code, str) str,
	VGPU_OP_LIST(NAME)
#undef NAME
};

static const char *const kernel_names[] = {
#define NAME(name, code, str) str,
	VGPU_KERNEL_LIST(NAME)
#undef NAME
};

const struct schema_node *schema_find(enum schema_side side, const char *name,
				      unsigned int *index)
{
	for (size_t i = 0; i < schema_node_count; i++) {
		const struct schema_node *node = &schema_nodes[i];
		size_t len = strlen(node->name);
		uint64_t n = 0;

		if (node->side != side || strncmp(name, node->name, len))
			continue;
		if (node->numbered ?
			    !vgpu_parse_uint(name + len, strlen(name + len),
					     UINT16_MAX, &n) :
			    name[len] != '\0')
			continue;
		*index = n;
		return node;
	}
	return NULL;
}

bool schema_holds(const struct schema_when *when, unsigned int backend_state,
		  unsigned int frontend_state)
{
	return (when->backend & (1u << backend_state)) ||
	       (when->frontend & (1u << frontend_state));
}

/* The octets up to the next separator. */
static size_t word_len(const char *s, size_t len)
{
	const char *end = memchr(s, VGPUIF_LIST_SEPARATOR[0], len);

	return end ? (size_t)(end - s) : len;
}

static bool in_words(const char *words, const char *s, size_t len)
{
	while (*words) {
		size_t n = word_len(words, strlen(words));

		if (n == len && !memcmp(words, s, len))
			return true;
		words += words[n] ? n + 1 : n;
	}
	return false;
}

static bool in_names(const char *const *names, size_t count, const char *s,
		     size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], s, len))
			return true;
	return false;
}

static bool list_item_ok(const char *what, const char *s, size_t len)
{
	uint64_t v;

	if (!strcmp(what, "VGPU_OP_LIST"))
		return in_names(op_names,
				sizeof(op_names) / sizeof(op_names[0]), s, len);
	if (!strcmp(what, "VGPU_KERNEL_LIST"))
		return in_names(kernel_names,
				sizeof(kernel_names) / sizeof(kernel_names[0]),
				s, len);
	return vgpu_parse_uint(s, len, UINT64_MAX, &v);
}

/* An empty value is an empty list; an empty item is an error. */
static bool list_ok(const char *what, const char *s, size_t len)
{
	while (len) {
		size_t n = word_len(s, len);

		if (!list_item_ok(what, s, n))
			return false;
		if (n == len)
			return true;
		s += n + 1;
		len -= n + 1;
		if (!len)
			return false;
	}
	return true;
}

static bool text_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return true;
}

static bool pair_ok(const char *s, size_t len)
{
	const char *dot = memchr(s, '.', len);
	size_t major = dot ? (size_t)(dot - s) : 0;
	uint64_t v;

	return dot && vgpu_parse_uint(s, major, UINT32_MAX, &v) &&
	       vgpu_parse_uint(dot + 1, len - major - 1, UINT32_MAX, &v);
}

const char *schema_value_error(const struct schema_node *node,
			       const char *value, size_t len, const char *path)
{
	uint64_t v;

	switch (node->type) {
	case SCHEMA_STATE:
		if (vgpu_parse_uint(value, len, 31, &v) && (node->min >> v & 1))
			return NULL;
		return "a state that occurs on this side";
	case SCHEMA_BOOL:
		return vgpu_parse_uint(value, len, 1, &v) ? NULL : "0 or 1";
	case SCHEMA_UINT:
		if (!vgpu_parse_uint(value, len, UINT64_MAX, &v))
			return "a decimal number";
		return v >= node->min && v <= node->max ? NULL :
							  "a number in range";
	case SCHEMA_PATH:
		return len == strlen(path) && !memcmp(value, path, len) ?
			       NULL :
			       "the path of the other side";
	case SCHEMA_WORD:
		return in_words(node->words, value, len) ? NULL : node->words;
	case SCHEMA_TEXT:
		if (len < node->min || len > node->max)
			return "text of another length";
		return text_ok(value, len) ? NULL : "printable text";
	case SCHEMA_PAIR:
		return pair_ok(value, len) ? NULL : "<major>.<minor>";
	case SCHEMA_LIST:
		return list_ok(node->words, value, len) ? NULL : node->words;
	case SCHEMA_DIRECTORY:
		return NULL;
	}
	return "a type of the schema";
}
