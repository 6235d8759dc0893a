/* SPDX-License-Identifier: MIT */
/*
 * inherited.h - what vgpubackd gives a worker: descriptors and configuration
 *
 * Used by the worker's thread, once, before it opens anything of its own: a
 * descriptor that is missing could else be taken for another. Where something is
 * missing or cannot be right, the process ends and says that it was started by
 * hand.
 */
#ifndef VGPU_BACKEND_INHERITED_H
#define VGPU_BACKEND_INHERITED_H

#include "lease.h"
#include "proto.h"

/* Waits for it. */
void inherited_config(struct worker_config *cfg);

/* Maps it. NULL with errno. */
struct lease *inherited_lease(void);

#endif /* VGPU_BACKEND_INHERITED_H */
