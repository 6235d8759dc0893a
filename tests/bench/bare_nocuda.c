// SPDX-License-Identifier: MIT
/*
 * bare_nocuda.c - the CUDA peer of a build without the CUDA toolkit: says so
 */
#include "peer.h"

#include <stdio.h>

bool bare_cuda(struct results *r, const struct bench_plan *plan, char why[256])
{
	(void)r;
	(void)plan;
	snprintf(why, 256, "built without the CUDA toolkit");
	return false;
}
