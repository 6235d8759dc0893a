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

/*
 * The keys that are plain numbers: the schema's ranges where there is a node.
 *
 * @what, @least: for a message: what the number is, and what min stands for
 */
struct range {
	uint64_t min;
	uint64_t max;
	const char *what;
	const char *least;
};

#define RANGE(node, what, least)                                               \
	{                                                                      \
		node##_MIN, node##_MAX, what, least                            \
	}

static const struct range ranges[NR_KEYS] = {
	[KEY_GPU] = RANGE(VGPU_NODE_GPU, "the index of a GPU, ", ""),
	[KEY_WEIGHT] = RANGE(VGPU_NODE_WEIGHT, "", ""),
	[KEY_CAP] = RANGE(VGPU_NODE_CAP, "per cent of one GPU, ", " (none)"),
	[KEY_MAX_BUFFERS] = RANGE(VGPU_NODE_QUOTA_BUFFERS, "", ""),
	[KEY_MAX_MAPPED_PAGES] = RANGE(VGPU_NODE_QUOTA_PAGES, "", ""),
	[KEY_MPS] = {0, 1, "", ""},
	[KEY_DEVID] = {0, DEVICE_LINE_DEVID_MAX, "", ""},
};

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

static bool take_uint(const struct item *it, const struct range *range,
		      uint64_t *out, char err[DEVICE_LINE_ERR])
{
	char want[DEVICE_LINE_ERR];

	if (vgpu_parse_uint(it->value, it->value_len, range->max, out) &&
	    *out >= range->min)
		return true;
	snprintf(want, sizeof(want), "must be %s%" PRIu64 "%s %s %" PRIu64,
		 range->what, range->min, range->least,
		 range->max - range->min == 1 ? "or" : "to", range->max);
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
	if (!vgpu_parse_uint(it->value, len, VGPU_NODE_MEM_MAX >> shift, &v))
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
	uint64_t v;

	if (key == KEY_MEM)
		return take_mem(it, &line->mem, err);
	if (key == KEY_BACKEND)
		return take_backend(it, line, err);
	if (!take_uint(it, &ranges[key], &v, err))
		return false;
	switch (key) {
	case KEY_GPU:
		line->gpu = v;
		break;
	case KEY_WEIGHT:
		line->weight = v;
		break;
	case KEY_CAP:
		line->cap = v;
		break;
	case KEY_MAX_BUFFERS:
		line->max_buffers = v;
		break;
	case KEY_MAX_MAPPED_PAGES:
		line->max_mapped_pages = v;
		break;
	case KEY_MPS:
		line->mps = v;
		break;
	default:
		line->devid = v;
		break;
	}
	return true;
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
