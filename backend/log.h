/* SPDX-License-Identifier: MIT */
/*
 * log.h - the one log function of supervisor and worker
 *
 * Lines of logfmt on stderr, one write(2) each, so that the lines of several
 * processes on one stderr never mix:
 *
 *   ts=2025-01-31T12:00:00.123Z level=info event=closed domid=7 dev=0 why="..."
 *
 * Text may come from a guest: what is not printable ASCII leaves as \xHH, and
 * quotes are escaped, so that no guest can forge a line or reach a terminal.
 */
#ifndef VGPU_BACKEND_LOG_H
#define VGPU_BACKEND_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* A field is a number where str is NULL. */
struct log_field {
	const char *key;
	const char *str;
	uint64_t num;
};

#define F_STR(k, v) ((struct log_field){.key = (k), .str = (v)})
#define F_NUM(k, v) ((struct log_field){.key = (k), .num = (v)})
#define F_DEV(d) F_NUM("domid", (d)->domid), F_NUM("dev", (d)->devid)

/* log_event(LOG_INFO, "event", F_NUM("domid", 7), F_STR("why", text)) */
#define log_event(level, event, ...)                                           \
	log_write(level, event,                                                \
		  (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

/* The last field has a NULL key. */
void log_write(enum log_level level, const char *event,
	       const struct log_field *fields);

/* What log_write() prints behind ts=; a line that is too long is cut. */
size_t log_format(char *buf, size_t size, enum log_level level,
		  const char *event, const struct log_field *fields);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_level_by_name(const char *name, enum log_level *level);

/* From now on every line of this process carries domid= and dev=. */
void log_set_device(uint32_t domid, uint32_t devid);

/* dst becomes src with '?' for all that is not printable ASCII, cut to size. */
void log_sanitize(char *dst, size_t size, const char *src, size_t len);

#endif /* VGPU_BACKEND_LOG_H */
