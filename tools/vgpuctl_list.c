/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_list.c - list: one line per device, from xenstore alone; or, with
 * --remembered, from the state file
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
	char *value = nodes_read(v->xs, XBT_NULL, dir, node);

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

static const char *show_name(const char *name, char buf[VGPU_SHOW_LEN])
{
	return *name ? vgpu_show(buf, name, strlen(name)) : "-";
}

static void list_device(struct vgpuctl *v, const struct vgpu_dev *d)
{
	char gpu[VGPU_SHOW_LEN], gpu_name[VGPU_SHOW_LEN], mem[VGPU_SHOW_LEN];
	char mem_text[VGPU_SHOW_LEN], weight[VGPU_SHOW_LEN], cap[VGPU_SHOW_LEN];
	char engine[VGPU_SHOW_LEN], error[VGPU_SHOW_LEN], shown[VGPU_SHOW_LEN];
	char back[DOMAIN_PATH_LEN], front[DOMAIN_PATH_LEN];
	struct domain guest;

	nodes_back_path(d, back);
	nodes_front_path(d, front);
	domain_read(v->xs, d->guest, &guest);
	printf("%5u %-20s %3u %7u  %-12s %-12s %-7s %3s %-24s %8s %6s %4s  "
	       "%s\n",
	       d->guest, show_name(guest.name, shown), d->devid, d->back,
	       vgpu_state_name(nodes_state(v->xs, XBT_NULL, back)),
	       vgpu_state_name(nodes_state(v->xs, XBT_NULL, front)),
	       cell(v, back, VGPU_NODE_ENGINE, "-", engine),
	       cell(v, back, VGPU_NODE_GPU, "0", gpu),
	       cell(v, back, VGPU_NODE_GPU_NAME, "-", gpu_name),
	       show_mem(cell(v, back, VGPU_NODE_MEM, "0", mem), mem_text),
	       cell(v, back, VGPU_NODE_WEIGHT, "256", weight),
	       cell(v, back, VGPU_NODE_CAP, "0", cap),
	       cell(v, back, VGPU_NODE_ERROR, "-", error));
}

/* The id of the running domain with that UUID, as text. */
static const char *running_id(const struct domain *running, size_t n,
			      const char *uuid, char buf[16])
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(running[i].uuid, uuid))
			continue;
		snprintf(buf, 16, "%u", running[i].id);
		return buf;
	}
	return "-";
}

static void list_entry(const struct registry_entry *e,
		       const struct domain *running, size_t n)
{
	char shown[VGPU_SHOW_LEN], id[16], text[DEVICE_LINE_LEN];
	const char *uuid = strcmp(e->uuid, REGISTRY_NO_UUID) ? e->uuid : "-";

	device_line_format(&e->line, text);
	printf("%5s %-20s %-36s  %s\n", running_id(running, n, e->uuid, id),
	       show_name(e->name, shown), uuid, text);
}

static enum vgpuctl_exit list_remembered(struct vgpuctl *v, int argc,
					 char **argv)
{
	const char *name = argc == 2 ? argv[1] : NULL;
	char err[REGISTRY_ERR];
	struct domain *running;
	struct registry r;
	size_t n;

	if (registry_load(&r, v->state_file, err) != REGISTRY_OK) {
		say("%s; %s", err, REGISTRY_ADVICE);
		return EXIT_FAILED;
	}
	running = domain_list(v->xs, &n);
	printf("%5s %-20s %-36s  %s\n", "ID", "NAME", "UUID", "DEVICE");
	for (size_t i = 0; i < r.n; i++)
		if (!name || !strcmp(name, r.entry[i].name) ||
		    !strcmp(name, r.entry[i].uuid))
			list_entry(&r.entry[i], running, n);
	free(running);
	registry_free(&r);
	return EXIT_OK;
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
	if (v->remembered)
		return list_remembered(v, argc, argv);
	if (argc == 2 && !vgpuctl_find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	dev = calloc(LIST_MAX, sizeof(*dev));
	if (!dev) {
		say("out of memory");
		return EXIT_FAILED;
	}
	n = nodes_list(v->xs, guest, dev, LIST_MAX);
	printf("%5s %-20s %3s %7s  %-12s %-12s %-7s %3s %-24s %8s %6s %4s  "
	       "%s\n",
	       "ID", "NAME", "DEV", "BACK-ID", "BACKEND", "FRONTEND", "ENGINE",
	       "GPU", "GPU-NAME", "MEM", "WEIGHT", "CAP", "ERROR");
	for (size_t i = 0; i < n; i++)
		list_device(v, &dev[i]);
	free(dev);
	return EXIT_OK;
}
