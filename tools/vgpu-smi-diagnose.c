// SPDX-License-Identifier: MIT
/*
 * vgpu-smi-diagnose.c - why there is no usable vgpu device, for a person
 *
 * Reads what the kernel shows under /sys and /proc, in the order in which a
 * device comes to be: Xen, module, device, node, backend. Changes nothing.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vgpu-smi-diagnose.h"

#define PATH_LEN 512

static bool exists(const char *root, const char *path)
{
	char name[PATH_LEN];

	snprintf(name, sizeof(name), "%s%s", root, path);
	return access(name, F_OK) == 0;
}

/* The first line of a file, without its end; "" when it can not be read. */
static void first_line(const char *name, char *out, size_t size)
{
	FILE *f = fopen(name, "re");

	*out = '\0';
	if (!f)
		return;
	if (!fgets(out, (int)size, f))
		*out = '\0';
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

static bool is_xen(const char *root)
{
	char name[PATH_LEN], type[16];

	snprintf(name, sizeof(name), "%s/sys/hypervisor/type", root);
	first_line(name, type, sizeof(type));
	return !strcmp(type, "xen") || exists(root, "/proc/xen");
}

/* Name and xenbus state of the first vgpu device, "" when there is none. */
static void first_device(const char *root, char *device, char *state,
			 size_t size)
{
	char name[PATH_LEN];
	glob_t found;

	*device = *state = '\0';
	snprintf(name, sizeof(name), "%s/sys/bus/xen/devices/vgpu-*", root);
	if (glob(name, 0, NULL, &found))
		return;
	snprintf(device, size, "%s", strrchr(found.gl_pathv[0], '/') + 1);
	snprintf(name, sizeof(name), "%s/state", found.gl_pathv[0]);
	first_line(name, state, size);
	globfree(&found);
}

static void no_node(const char *root, const char *path, char *out, size_t size)
{
	char device[64], state[64];

	first_device(root, device, state, sizeof(device));
	if (!is_xen(root))
		snprintf(
			out, size,
			"this is not a Xen guest: /sys/hypervisor/type does not say xen, and there is no /proc/xen\n"
			"vgpu devices exist only in domains of the Xen hypervisor");
	else if (!exists(root, "/sys/module/vgpufront"))
		snprintf(out, size,
			 "the kernel module vgpufront is not loaded\n"
			 "load it: modprobe vgpufront");
	else if (!*device)
		snprintf(out, size,
			 "no vgpu device is attached to this domain\n"
			 "attach one, in dom0: vgpuctl attach DOMAIN");
	else if (!strcmp(state, "Connected"))
		snprintf(out, size,
			 "there is no %s, though device %s is connected\n"
			 "see which there are: ls /dev/vgpufront*",
			 path, device);
	else
		snprintf(
			out, size,
			"device %s is not connected (xenbus state %s), so there is no %s\n"
			"look at the backend, in dom0: vgpuctl list, and the log of vgpubackd",
			device, *state ? state : "unknown", path);
}

void diagnose_open(const char *root, const char *path, int err, char *out,
		   size_t size)
{
	switch (err) {
	case -ENOENT:
		no_node(root, path, out, size);
		break;
	case -ENODEV:
	case -ENXIO:
		snprintf(
			out, size,
			"%s: the device is gone, or its backend is not connected\n"
			"look at the backend, in dom0: vgpuctl list, and the log of vgpubackd",
			path);
		break;
	case -EACCES:
	case -EPERM:
		snprintf(
			out, size,
			"%s: no permission to open it\n"
			"run as root, or let your group use it: chgrp GROUP %s; chmod 660 %s",
			path, path, path);
		break;
	case -ENOTTY:
		snprintf(out, size,
			 "%s: not a vgpu device\n"
			 "the first one is /dev/vgpufront",
			 path);
		break;
	case -EPROTONOSUPPORT:
		snprintf(out, size,
			 "%s: %s\n"
			 "install module and library of the same release",
			 path, vgpu_strerror(err));
		break;
	default:
		snprintf(out, size, "%s: %s", path, vgpu_strerror(err));
	}
}

const char *state_name(unsigned int state)
{
	switch (state) {
	case VGPU_STATE_DISCONNECTED:
		return "disconnected";
	case VGPU_STATE_CONNECTED:
		return "connected";
	case VGPU_STATE_CLOSING:
		return "closing";
	case VGPU_STATE_BROKEN:
		return "broken";
	default:
		return "unknown";
	}
}

void diagnose_state(const struct vgpu_device_info *info, char *out, size_t size)
{
	*out = '\0';
	switch (info->state) {
	case VGPU_STATE_CONNECTED:
		break;
	case VGPU_STATE_CLOSING:
		snprintf(
			out, size,
			"the device is being detached, or its backend shuts down\n"
			"see in dom0: vgpuctl list");
		break;
	case VGPU_STATE_BROKEN:
		snprintf(
			out, size,
			"the backend violated the protocol; the device is out of use\n"
			"see dmesg here and the log of vgpubackd, then detach and attach the device");
		break;
	default:
		snprintf(
			out, size,
			"the backend is not connected\n"
			"look at it, in dom0: vgpuctl list, and the log of vgpubackd");
	}
}
