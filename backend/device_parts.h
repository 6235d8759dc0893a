/* SPDX-License-Identifier: MIT */
/*
 * device_parts.h - what the files of device.h share among themselves
 *
 * device.c is the state machine, device_start.c offers and starts, and
 * device_live.c changes what runs. Used by the supervisor's one thread.
 */
#ifndef VGPU_BACKEND_DEVICE_PARTS_H
#define VGPU_BACKEND_DEVICE_PARTS_H

#include "backd.h"

/* Says why, and closes; why may be what a guest or a worker wrote. */
void device_refuse(struct device *d, const char *why);

/* NEW: publishes the offer and goes OFFERED, where its GPU has passed. */
void device_offer(struct device *d);

/* OFFERED, the frontend Initialised: reads its nodes and starts a worker. */
void device_start(struct device *d);

#endif /* VGPU_BACKEND_DEVICE_PARTS_H */
