// SPDX-License-Identifier: MIT
/*
 * regions.c - a worker whose guest's memory cannot be pinned
 *
 * Linked into the harness's workers in place of the call that opens the engine.
 * Where NX_ENV_NO_REGIONS is set, the engine says what one says on a host whose
 * driver refuses grant mappings: no region, so all is staged. Otherwise, and in
 * all else, the engine is what it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cuda/engine.h"
#include "wire.h"

struct vgpu_engine *__real_vgpu_engine_open(const char *name,
					    const struct vgpu_engine_config *c,
					    char why[VGPU_ENGINE_WHY]);
struct vgpu_engine *__wrap_vgpu_engine_open(const char *name,
					    const struct vgpu_engine_config *c,
					    char why[VGPU_ENGINE_WHY]);

static bool refuse_test(struct vgpu_engine *eng, void *base, size_t bytes,
			char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	memset(base, 0, bytes);
	snprintf(why, VGPU_ENGINE_WHY, "%s is set", NX_ENV_NO_REGIONS);
	return false;
}

static struct vgpu_engine_region *
refuse_region(struct vgpu_engine *eng, void *base, size_t bytes, bool read_only)
{
	(void)eng;
	(void)base;
	(void)bytes;
	(void)read_only;
	return NULL;
}

struct vgpu_engine *__wrap_vgpu_engine_open(const char *name,
					    const struct vgpu_engine_config *c,
					    char why[VGPU_ENGINE_WHY])
{
	static struct vgpu_engine_ops ops;
	struct vgpu_engine *eng = __real_vgpu_engine_open(name, c, why);

	if (!eng || !getenv(NX_ENV_NO_REGIONS))
		return eng;
	ops = *eng->ops;
	ops.region_test = refuse_test;
	ops.region_add = refuse_region;
	eng->ops = &ops;
	return eng;
}
