// SPDX-License-Identifier: MIT
/*
 * log.c - formats and writes log lines (see log.h)
 *
 * Owns the log level and the device that a worker's lines name. Used by the one
 * thread of each process. Never blocks on anything but stderr, never allocates.
 */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level max_level = LOG_INFO;
static struct {
	bool set;
	uint32_t domid;
	uint32_t devid;
} device;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* A buffer that swallows what does not fit. */
struct out {
	char *buf;
	size_t size;
	size_t len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len++] = c;
}

static void put_text(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

static void put_num(struct out *o, uint64_t v)
{
	char tmp[24];

	snprintf(tmp, sizeof(tmp), "%llu", (unsigned long long)v);
	put_text(o, tmp);
}

static bool plain(const char *s)
{
	static const char ok[] =
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/+,@%-";

	return *s && s[strspn(s, ok)] == '\0';
}

static void put_value(struct out *o, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	if (plain(s)) {
		put_text(o, s);
		return;
	}
	put(o, '"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\') {
			put(o, '\\');
			put(o, c);
		} else if (c >= 0x20 && c < 0x7f) {
			put(o, c);
		} else {
			put(o, '\\');
			put(o, 'x');
			put(o, hex[c >> 4]);
			put(o, hex[c & 15]);
		}
	}
	put(o, '"');
}

static void put_field(struct out *o, const struct log_field *f)
{
	put(o, ' ');
	put_text(o, f->key);
	put(o, '=');
	if (f->str)
		put_value(o, f->str);
	else
		put_num(o, f->num);
}

size_t log_format(char *buf, size_t size, enum log_level level,
		  const char *event, const struct log_field *fields)
{
	struct out o = {.buf = buf, .size = size};

	put_field(&o, &F_STR("level", level_names[level]));
	put_field(&o, &F_STR("event", event));
	if (device.set) {
		put_field(&o, &F_NUM("domid", device.domid));
		put_field(&o, &F_NUM("dev", device.devid));
	}
	for (; fields->key; fields++)
		put_field(&o, fields);
	buf[o.len] = '\0';
	return o.len;
}

void log_write(enum log_level level, const char *event,
	       const struct log_field *fields)
{
	char line[2048];
	struct timespec ts;
	struct tm tm;
	size_t len;

	if (level > max_level)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(line, sizeof(line), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	len += snprintf(line + len, sizeof(line) - len, ".%03uZ",
			(unsigned int)(ts.tv_nsec / 1000000) % 1000);
	len += log_format(line + len, sizeof(line) - len - 1, level, event,
			  fields);
	line[len++] = '\n';
	/* A log that nobody can take is no reason to stop serving. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

enum log_level log_get_level(void)
{
	return max_level;
}

bool log_level_by_name(const char *name, enum log_level *level)
{
	for (unsigned int i = 0; i <= LOG_DEBUG; i++) {
		if (!strcmp(name, level_names[i])) {
			*level = i;
			return true;
		}
	}
	return false;
}

void log_set_device(uint32_t domid, uint32_t devid)
{
	device.set = true;
	device.domid = domid;
	device.devid = devid;
}

void log_sanitize(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		dst[i] = src[i] >= 0x20 && src[i] < 0x7f ? src[i] : '?';
	dst[n] = '\0';
}
