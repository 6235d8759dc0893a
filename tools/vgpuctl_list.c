/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_list.c - list: one line per device, from xenstore alone
 *
 * Reads only. What a guest or a backend wrote is escaped before it is printed.
 */
#include "vgpuctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"
#include "vgpu_nodes.h"

#define LIST_MAX 4096

/* A node for the table: its value made printable, or fallback. */
static const char *cell(struct vgpuctl *v, const char *dir, const char *node,
			const char *fallback, char buf[VGPU_SHOW_LEN])
{
	char *value = store_read(v, XBT_NULL, dir, node);

	if (value && *value)
		vgpu_show(buf, value, strlen(value));
	else
		snprintf(buf, VGPU_SHOW_LEN, "%s", fallback);
	free(value);
	return buf;
}

/* 4294967296 -> 4G; what is no multiple of 1 KiB stays as it is; 0 -> "-" */
static const char *show_mem(const char *text, char buf[VGPU_SHOW_LEN])
{
	static const char unit[] = {'\0', 'K', 'M', 'G', 'T'};
	unsigned int i = 0;
	uint64_t v;

	if (!vgpu_parse_uint(text, strlen(text), UINT64_MAX, &v))
		return "?";
	if (!v)
		return "-";
	for (; i < sizeof(unit) - 1 && v % 1024 == 0; i++)
		v /= 1024;
	snprintf(buf, VGPU_SHOW_LEN, "%" PRIu64 "%.1s", v, &unit[i]);
	return buf;
}

static void list_device(struct vgpuctl *v, const struct vgpu_dev *d)
{
	char gpu[VGPU_SHOW_LEN], gpu_name[VGPU_SHOW_LEN], mem[VGPU_SHOW_LEN];
	char mem_text[VGPU_SHOW_LEN], weight[VGPU_SHOW_LEN], cap[VGPU_SHOW_LEN];
	char engine[VGPU_SHOW_LEN], error[VGPU_SHOW_LEN], shown[VGPU_SHOW_LEN];
	char back[VGPU_PATH_LEN], front[VGPU_PATH_LEN], name[64];

	store_back_path(d, back);
	store_front_path(d, front);
	store_domain_name(v, d->guest, name, sizeof(name));
	printf("%5u %-20s %3u %7u  %-12s %-12s %-7s %3s %-24s %8s %6s %4s  "
	       "%s\n",
	       d->guest, *name ? vgpu_show(shown, name, strlen(name)) : "-",
	       d->devid, d->back,
	       vgpu_state_name(store_state(v, XBT_NULL, back)),
	       vgpu_state_name(store_state(v, XBT_NULL, front)),
	       cell(v, back, VGPU_NODE_ENGINE, "-", engine),
	       cell(v, back, VGPU_NODE_GPU, "0", gpu),
	       cell(v, back, VGPU_NODE_GPU_NAME, "-", gpu_name),
	       show_mem(cell(v, back, VGPU_NODE_MEM, "0", mem), mem_text),
	       cell(v, back, VGPU_NODE_WEIGHT, "256", weight),
	       cell(v, back, VGPU_NODE_CAP, "0", cap),
	       cell(v, back, VGPU_NODE_ERROR, "-", error));
}

enum vgpuctl_exit cmd_list(struct vgpuctl *v, int argc, char **argv)
{
	unsigned int guest = ANY_DOMAIN;
	struct vgpu_dev *dev;
	size_t n;

	if (argc > 2) {
		say("list takes at most one domain");
		return EXIT_USAGE;
	}
	if (argc == 2 && !store_find_domain(v, argv[1], &guest)) {
		say("there is no domain \"%s\"", argv[1]);
		return EXIT_FAILED;
	}
	dev = calloc(LIST_MAX, sizeof(*dev));
	if (!dev) {
		say("out of memory");
		return EXIT_FAILED;
	}
	n = store_devices(v, guest, dev, LIST_MAX);
	printf("%5s %-20s %3s %7s  %-12s %-12s %-7s %3s %-24s %8s %6s %4s  "
	       "%s\n",
	       "ID", "NAME", "DEV", "BACK-ID", "BACKEND", "FRONTEND", "ENGINE",
	       "GPU", "GPU-NAME", "MEM", "WEIGHT", "CAP", "ERROR");
	for (size_t i = 0; i < n; i++)
		list_device(v, &dev[i]);
	free(dev);
	return EXIT_OK;
}
