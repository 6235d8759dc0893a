/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_commands.c - attach, detach and set
 *
 * Which device is meant, what happens to it, what of that is remembered: the
 * order of these three for each command. A device is remembered when it is
 * there, and forgotten when it is gone.
 */
#include "vgpuctl.h"

#include <stdio.h>
#include <string.h>

#include "values.h"

static enum vgpuctl_exit usage_of(const char *text)
{
	say("usage: vgpuctl %s", text);
	return EXIT_USAGE;
}

/* What was done, and whether that is in the state file. */
static enum vgpuctl_exit ending(enum vgpuctl_exit rc, bool remembered,
				const char *else_say)
{
	if (remembered)
		return rc;
	say("%s", else_say);
	return rc == EXIT_OK ? EXIT_UNREMEMBERED : rc;
}

enum vgpuctl_exit cmd_attach(struct vgpuctl *v, int argc, char **argv)
{
	char err[DEVICE_LINE_ERR];
	struct device_line line;
	enum vgpuctl_exit rc;
	unsigned int guest;

	if (argc < 2 || argc > 3)
		return usage_of("attach DOMAIN [KEY=VALUE,...]");
	if (!device_line_parse(argc > 2 ? argv[2] : NULL, &line, err)) {
		say("attach: %s", err);
		return EXIT_USAGE;
	}
	if (!vgpuctl_find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	rc = device_attach(v, guest, &line, "attach");
	if (rc != EXIT_OK && rc != EXIT_UNSERVED)
		return rc;
	if (rc == EXIT_UNSERVED)
		say("attach: the device connects when a vgpubackd starts there");
	return ending(rc, remember_device(v, guest, &line),
		      "attached, but not remembered");
}

/* Which of the domain's n devices does text name? n where none. */
static size_t pick(const struct vgpu_dev *dev, size_t n, const char *text)
{
	uint64_t devid;
	size_t i;

	if (!vgpu_parse_uint(text, strlen(text), DEVICE_LINE_DEVID_MAX, &devid))
		return n;
	for (i = 0; i < n && dev[i].devid != devid; i++)
		;
	return i;
}

/* text: NULL: the one that there is. */
static enum vgpuctl_exit pick_one(struct vgpuctl *v, unsigned int guest,
				  const char *text, struct vgpu_dev *one)
{
	struct vgpu_dev dev[VGPU_DEV_MAX];
	size_t n = nodes_list(v->xs, guest, dev, VGPU_DEV_MAX), i = 0;

	if (!n) {
		say("domain %u has no vgpu device", guest);
		return EXIT_FAILED;
	}
	if (!text && n > 1) {
		say("domain %u has %zu vgpu devices: say which one", guest, n);
		return EXIT_USAGE;
	}
	if (text)
		i = pick(dev, n, text);
	if (i == n) {
		say("domain %u has no vgpu device \"%s\"", guest, text);
		return EXIT_FAILED;
	}
	*one = dev[i];
	return EXIT_OK;
}

/* Those that could be detached are at the start of dev; *n is how many. */
static enum vgpuctl_exit detach_each(struct vgpuctl *v, struct vgpu_dev *dev,
				     size_t *n)
{
	enum vgpuctl_exit rc = EXIT_OK;
	size_t done = 0;

	for (size_t i = 0; i < *n; i++) {
		if (device_detach(v, &dev[i]) == EXIT_OK)
			dev[done++] = dev[i];
		else
			rc = EXIT_FAILED;
	}
	*n = done;
	return rc;
}

enum vgpuctl_exit cmd_detach(struct vgpuctl *v, int argc, char **argv)
{
	struct vgpu_dev dev[VGPU_DEV_MAX];
	enum vgpuctl_exit rc;
	unsigned int guest;
	size_t n = 1;

	if (argc < 2 || argc > 3)
		return usage_of("detach DOMAIN [DEVID|all]");
	if (!vgpuctl_find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	if (argc == 3 && !strcmp(argv[2], "all")) {
		n = nodes_list(v->xs, guest, dev, VGPU_DEV_MAX);
		if (!n) {
			say("domain %u has no vgpu device", guest);
			return EXIT_FAILED;
		}
	} else {
		rc = pick_one(v, guest, argc == 3 ? argv[2] : NULL, dev);
		if (rc != EXIT_OK)
			return rc;
	}
	rc = detach_each(v, dev, &n);
	if (!n)
		return rc;
	return ending(rc, remember_not(v, guest, dev, n),
		      "detached, but the state file was not changed");
}

enum vgpuctl_exit cmd_set(struct vgpuctl *v, int argc, char **argv)
{
	char err[DEVICE_LINE_ERR], why[NODES_ERR];
	const char *change = argv[argc - 1];
	struct device_line line;
	enum vgpuctl_exit rc;
	struct vgpu_dev dev;
	unsigned int guest;

	if (argc < 3 || argc > 4)
		return usage_of("set DOMAIN [DEVID] KEY=VALUE,...");
	/* What is wrong by itself needs no device. */
	if (!device_line_parse(NULL, &line, err) ||
	    !device_line_change(change, &line, err)) {
		say("set: %s", err);
		return EXIT_USAGE;
	}
	if (!vgpuctl_find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	rc = pick_one(v, guest, argc == 4 ? argv[2] : NULL, &dev);
	if (rc != EXIT_OK)
		return rc;
	if (!nodes_change(v->xs, &dev, change, &line, why)) {
		say("set: %s", why);
		return EXIT_FAILED;
	}
	return ending(EXIT_OK, remember_change(v, guest, &line),
		      "changed, but the state file was not");
}
