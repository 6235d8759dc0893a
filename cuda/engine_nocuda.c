// SPDX-License-Identifier: MIT
/*
 * engine_nocuda.c - what stands for the cuda engine in a build without it
 *
 * Linked where the CUDA toolkit was missing at build time. Its gate never
 * opens, so that "auto" chooses cpu and says why.
 */
#include <stdio.h>

#include "engine.h"

static struct vgpu_engine *nocuda_open(const struct vgpu_engine_config *cfg,
				       char why[VGPU_ENGINE_WHY])
{
	(void)cfg;
	snprintf(why, VGPU_ENGINE_WHY,
		 "this program was built without the CUDA toolkit: install it and build again");
	return NULL;
}

const struct vgpu_engine_ops vgpu_engine_cuda = {
	.name = "cuda",
	.open = nocuda_open,
};
