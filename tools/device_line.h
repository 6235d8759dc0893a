/* SPDX-License-Identifier: MIT */
/*
 * device_line.h - the device line: "gpu=0,mem=4G,weight=256,cap=50"
 *
 * What an xl config, a command line and the state file say of a device, once:
 * the one parser, and its inverse. Pure functions, any thread. Must never
 * accept a number that vgpu.schema would not.
 */
#ifndef VGPU_DEVICE_LINE_H
#define VGPU_DEVICE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_LINE_ERR 256
/* More than device_line_format() ever writes. */
#define DEVICE_LINE_LEN 256
#define DEVICE_LINE_BACKEND 64
#define DEVICE_LINE_DEVID_MAX 65535
/* Where the line names no number: the lowest free one. */
#define DEVICE_LINE_ANY_DEVID (-1)

/*
 * @mem: octets, 0: no quota
 * @cap: per cent of one GPU, 0: none
 * @max_buffers, @max_mapped_pages: 0: as many as the backend allows by itself
 * @backend: name or id of a domain, "": the toolstack's own
 */
struct device_line {
	uint16_t gpu;
	uint64_t mem;
	uint16_t weight;
	uint16_t cap;
	uint32_t max_buffers;
	uint32_t max_mapped_pages;
	bool mps;
	int devid;
	char backend[DEVICE_LINE_BACKEND];
};

/*
 * Reads text; NULL is an empty line, which is all defaults. Keys may be in any
 * order, each at most once. On failure false, with a text for a person in err
 * that names key and value; *line is of no use then.
 */
bool device_line_parse(const char *text, struct device_line *line,
		       char err[DEVICE_LINE_ERR]);

/*
 * The same over a line that is there: text gives new values for some of mem,
 * weight and cap, at least one. Those are what a running device can change.
 */
bool device_line_change(const char *text, struct device_line *line,
			char err[DEVICE_LINE_ERR]);

/* The text that device_line_parse() reads the same line from. */
void device_line_format(const struct device_line *line,
			char text[DEVICE_LINE_LEN]);

/* Can a line name that domain as its backend? */
bool device_line_backend_ok(const char *name, size_t len);

/* Are they the same in all that xenstore holds of a device? */
bool device_line_same(const struct device_line *a, const struct device_line *b);

#endif
