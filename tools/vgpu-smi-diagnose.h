/* SPDX-License-Identifier: MIT */
/* vgpu-smi-diagnose.h - why there is no usable vgpu device, for a person */
#ifndef VGPU_SMI_DIAGNOSE_H
#define VGPU_SMI_DIAGNOSE_H

#include <stddef.h>

#include "libvgpufront/vgpufront.h"

/*
 * Writes what is missing, and in a second line what to do, to out.
 *
 * @root:	prefix of /sys and /proc; "" on a real system
 * @path:	node that was opened
 * @err:	what vgpu_open() said, negative
 */
void diagnose_open(const char *root, const char *path, int err, char *out,
		   size_t size);

/* The same for a device that was opened; "" when it can be used. */
void diagnose_state(const struct vgpu_device_info *info, char *out,
		    size_t size);

const char *state_name(unsigned int state);

#endif /* VGPU_SMI_DIAGNOSE_H */
