/* SPDX-License-Identifier: MIT */
/*
 * device_line.c - see device_line.h
 */
#include "device_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "values.h"
#include "vgpu_nodes.h"

struct item {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

enum key {
	KEY_GPU,
	KEY_MEM,
	KEY_WEIGHT,
	KEY_CAP,
	KEY_MAX_BUFFERS,
	KEY_MAX_MAPPED_PAGES,
	KEY_MPS,
	KEY_DEVID,
	KEY_BACKEND,
	NR_KEYS
};

static const char *const keys[NR_KEYS] = {
	"gpu", "mem",	"weight", "cap", "max-buffers", "max-mapped-pages",
	"mps", "devid", "backend"};

#define ALL_KEYS ((1u << NR_KEYS) - 1)
#define LIVE_KEYS (1u << KEY_MEM | 1u << KEY_WEIGHT | 1u << KEY_CAP)

static bool __attribute__((format(printf, 2, 3)))
fail(char err[DEVICE_LINE_ERR], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, DEVICE_LINE_ERR, fmt, ap);
	va_end(ap);
	return false;
}

static bool bad(const struct item *it, char err[DEVICE_LINE_ERR],
		const char *want)
{
	char value[VGPU_SHOW_LEN];

	return fail(err, "%.*s=%s: %s", (int)it->key_len, it->key,
		    vgpu_show(value, it->value, it->value_len), want);
}

static bool take_uint(const struct item *it, uint64_t min, uint64_t max,
		      uint64_t *out, char err[DEVICE_LINE_ERR],
		      const char *want)
{
	if (vgpu_parse_uint(it->value, it->value_len, max, out) && *out >= min)
		return true;
	return bad(it, err, want);
}

/* Octets, with a suffix K, M, G or T for powers of 1024. */
static bool take_mem(const struct item *it, uint64_t *out,
		     char err[DEVICE_LINE_ERR])
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

/* Goes into a text file and to terminals. */
bool device_line_backend_ok(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == ',')
			return false;
	return len && len < DEVICE_LINE_BACKEND;
}

static bool take_backend(const struct item *it, struct device_line *line,
			 char err[DEVICE_LINE_ERR])
{
	if (!device_line_backend_ok(it->value, it->value_len))
		return bad(it, err, "must be the name or id of a domain");
	memcpy(line->backend, it->value, it->value_len);
	line->backend[it->value_len] = '\0';
	return true;
}

static bool take(const struct item *it, enum key key, struct device_line *line,
		 char err[DEVICE_LINE_ERR])
{
	uint64_t v = 0;
	bool ok = true;

	switch (key) {
	case KEY_GPU:
		ok = take_uint(it, VGPU_NODE_GPU_MIN, VGPU_NODE_GPU_MAX, &v,
			       err, "must be the index of a GPU, 0 to 65535");
		line->gpu = v;
		break;
	case KEY_MEM:
		return take_mem(it, &line->mem, err);
	case KEY_WEIGHT:
		ok = take_uint(it, VGPU_NODE_WEIGHT_MIN, VGPU_NODE_WEIGHT_MAX,
			       &v, err, "must be 1 to 65535");
		line->weight = v;
		break;
	case KEY_CAP:
		ok = take_uint(it, VGPU_NODE_CAP_MIN, VGPU_NODE_CAP_MAX, &v,
			       err,
			       "must be per cent of one GPU, 0 (none) to 100");
		line->cap = v;
		break;
	case KEY_MAX_BUFFERS:
		ok = take_uint(it, 1, UINT32_MAX, &v, err,
			       "must be 1 to 4294967295");
		line->max_buffers = v;
		break;
	case KEY_MAX_MAPPED_PAGES:
		ok = take_uint(it, 1, UINT32_MAX, &v, err,
			       "must be 1 to 4294967295");
		line->max_mapped_pages = v;
		break;
	case KEY_MPS:
		ok = take_uint(it, 0, 1, &v, err, "must be 0 or 1");
		line->mps = v;
		break;
	case KEY_DEVID:
		ok = take_uint(it, 0, DEVICE_LINE_DEVID_MAX, &v, err,
			       "must be 0 to 65535");
		line->devid = v;
		break;
	default:
		return take_backend(it, line, err);
	}
	return ok;
}

static enum key find_key(const struct item *it)
{
	int i;

	for (i = 0; i < NR_KEYS; i++)
		if (strlen(keys[i]) == it->key_len &&
		    !memcmp(keys[i], it->key, it->key_len))
			break;
	return i;
}

/* The keys that a line may have, for a message. */
static const char *key_list(unsigned int allowed, char buf[DEVICE_LINE_ERR])
{
	size_t len = 0;

	for (int i = 0; i < NR_KEYS; i++)
		if (allowed & 1u << i)
			len += snprintf(buf + len, DEVICE_LINE_ERR - len,
					"%s%s", len ? ", " : "", keys[i]);
	return buf;
}

/* The values of text over those that *line has. */
static bool parse_over(const char *text, unsigned int allowed,
		       struct device_line *line, char err[DEVICE_LINE_ERR])
{
	char shown[VGPU_SHOW_LEN], list[DEVICE_LINE_ERR];
	unsigned int seen = 0;

	while (text && *text) {
		size_t len = strcspn(text, ",");
		const char *eq = memchr(text, '=', len);
		struct item it = {.key = text};
		enum key key;

		if (!eq)
			return fail(err, "\"%s\": expected key=value",
				    vgpu_show(shown, text, len));
		it.key_len = eq - text;
		it.value = eq + 1;
		it.value_len = len - it.key_len - 1;
		key = find_key(&it);
		if (key == NR_KEYS)
			return fail(err, "\"%s\": unknown key (there are %s)",
				    vgpu_show(shown, text, len),
				    key_list(allowed, list));
		if (!(allowed & 1u << key))
			return bad(&it, err,
				   "cannot be changed while the device is "
				   "there (only mem, weight and cap can)");
		if (seen & 1u << key)
			return bad(&it, err, "the key is given twice");
		seen |= 1u << key;
		if (!take(&it, key, line, err))
			return false;
		text += len;
		if (*text == ',' && !*++text)
			return fail(err, "ends in a comma");
	}
	return true;
}

bool device_line_parse(const char *text, struct device_line *line,
		       char err[DEVICE_LINE_ERR])
{
	*line = (struct device_line){.weight = VGPU_NODE_WEIGHT_DEFAULT,
				     .devid = DEVICE_LINE_ANY_DEVID};
	return parse_over(text, ALL_KEYS, line, err);
}

bool device_line_change(const char *text, struct device_line *line,
			char err[DEVICE_LINE_ERR])
{
	if (!*text)
		return fail(err, "nothing to change (there are mem, weight, "
				 "cap)");
	return parse_over(text, LIVE_KEYS, line, err);
}

void device_line_format(const struct device_line *line,
			char text[DEVICE_LINE_LEN])
{
	int n = snprintf(text, DEVICE_LINE_LEN,
			 "gpu=%u,mem=%" PRIu64 ",weight=%u,cap=%u", line->gpu,
			 line->mem, line->weight, line->cap);

	if (line->max_buffers)
		n += snprintf(text + n, DEVICE_LINE_LEN - n,
			      ",max-buffers=%" PRIu32, line->max_buffers);
	if (line->max_mapped_pages)
		n += snprintf(text + n, DEVICE_LINE_LEN - n,
			      ",max-mapped-pages=%" PRIu32,
			      line->max_mapped_pages);
	if (line->mps)
		n += snprintf(text + n, DEVICE_LINE_LEN - n, ",mps=1");
	if (line->devid != DEVICE_LINE_ANY_DEVID)
		n += snprintf(text + n, DEVICE_LINE_LEN - n, ",devid=%d",
			      line->devid);
	if (line->backend[0])
		snprintf(text + n, DEVICE_LINE_LEN - n, ",backend=%s",
			 line->backend);
}

bool device_line_same(const struct device_line *a, const struct device_line *b)
{
	return a->gpu == b->gpu && a->mem == b->mem && a->weight == b->weight &&
	       a->cap == b->cap && a->max_buffers == b->max_buffers &&
	       a->max_mapped_pages == b->max_mapped_pages && a->mps == b->mps;
}
