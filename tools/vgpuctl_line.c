/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_line.c - the device line: "gpu=0,mem=4G,weight=256,cap=0"
 *
 * Keys may be in any order, each at most once. Pure functions. Must never
 * accept a number that vgpu.schema would not.
 */
#include "vgpuctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "values.h"

struct item {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

static bool __attribute__((format(printf, 2, 3)))
fail(char err[VGPU_LINE_ERR], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, VGPU_LINE_ERR, fmt, ap);
	va_end(ap);
	return false;
}

static bool bad(const struct item *it, char err[VGPU_LINE_ERR],
		const char *want)
{
	char value[VGPU_SHOW_LEN];

	return fail(err, "%.*s=%s: %s", (int)it->key_len, it->key,
		    vgpu_show(value, it->value, it->value_len), want);
}

static bool take_u16(const struct item *it, uint16_t min, uint16_t *out,
		     char err[VGPU_LINE_ERR], const char *want)
{
	uint64_t v;

	if (!vgpu_parse_uint(it->value, it->value_len, UINT16_MAX, &v) ||
	    v < min)
		return bad(it, err, want);
	*out = v;
	return true;
}

/* Octets, with a suffix K, M, G or T for powers of 1024. */
static bool take_mem(const struct item *it, uint64_t *out,
		     char err[VGPU_LINE_ERR])
{
	static const char suffix[] = "KMGT";
	unsigned int shift = 0;
	size_t len = it->value_len;
	const char *s;
	uint64_t v;

	if (len) {
		s = memchr(suffix, it->value[len - 1], sizeof(suffix) - 1);
		if (s) {
			shift = 10 * (s - suffix + 1);
			len--;
		}
	}
	if (!vgpu_parse_uint(it->value, len, UINT64_MAX >> shift, &v))
		return bad(it, err,
			   "must be a number of bytes, or one with K, M, G or "
			   "T (0: no quota)");
	*out = v << shift;
	return true;
}

static bool take_backend(const struct item *it, struct vgpu_line *line,
			 char err[VGPU_LINE_ERR])
{
	if (!it->value_len || it->value_len >= sizeof(line->backend))
		return bad(it, err, "must be the name or id of a domain");
	memcpy(line->backend, it->value, it->value_len);
	line->backend[it->value_len] = '\0';
	return true;
}

static const char *const keys[] = {"gpu", "mem",   "weight",
				   "cap", "devid", "backend"};
#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static bool take(const struct item *it, size_t key, struct vgpu_line *line,
		 char err[VGPU_LINE_ERR])
{
	uint16_t devid;

	switch (key) {
	case 0:
		return take_u16(it, 0, &line->gpu, err,
				"must be the index of a GPU, 0 to 65535");
	case 1:
		return take_mem(it, &line->mem, err);
	case 2:
		return take_u16(it, 1, &line->weight, err,
				"must be 1 to 65535");
	case 3:
		return take_u16(
			it, 0, &line->cap, err,
			"must be per cent of one GPU, 0 (none) to 65535");
	case 4:
		if (!take_u16(it, 0, &devid, err, "must be 0 to 65535"))
			return false;
		line->devid = devid;
		return true;
	default:
		return take_backend(it, line, err);
	}
}

static size_t find_key(const struct item *it)
{
	size_t i;

	for (i = 0; i < NR_KEYS; i++)
		if (strlen(keys[i]) == it->key_len &&
		    !memcmp(keys[i], it->key, it->key_len))
			break;
	return i;
}

bool vgpu_line_parse(const char *text, struct vgpu_line *line,
		     char err[VGPU_LINE_ERR])
{
	unsigned int seen = 0;

	*line = (struct vgpu_line){.weight = 256, .devid = -1};
	while (text && *text) {
		char shown[VGPU_SHOW_LEN];
		size_t len = strcspn(text, ",");
		const char *eq = memchr(text, '=', len);
		struct item it = {.key = text};
		size_t key;

		if (!eq)
			return fail(err, "\"%s\": expected key=value",
				    vgpu_show(shown, text, len));
		it.key_len = eq - text;
		it.value = eq + 1;
		it.value_len = len - it.key_len - 1;
		key = find_key(&it);
		if (key == NR_KEYS)
			return fail(err,
				    "%s: unknown key (there are gpu, mem, "
				    "weight, cap, devid, backend)",
				    vgpu_show(shown, it.key, it.key_len));
		if (seen & 1u << key)
			return fail(err, "%s is given twice", keys[key]);
		seen |= 1u << key;
		if (!take(&it, key, line, err))
			return false;
		text += len;
		if (*text == ',' && !*++text)
			return fail(err, "ends in a comma");
	}
	return true;
}
