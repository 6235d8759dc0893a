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

/* Never called: bare_cuda() has said that there is no GPU. */
bool bare_compute(struct results *r, const struct bench_plan *plan,
		  char why[256])
{
	return bare_cuda(r, plan, why);
}

bool bare_compute_sleeping(struct results *r, const struct bench_plan *plan,
			   char why[256])
{
	return bare_cuda(r, plan, why);
}

bool bare_neighbours(struct results *r, const struct bench_plan *plan,
		     char why[256])
{
	return bare_cuda(r, plan, why);
}

bool bare_neighbours_mps(struct results *r, const struct bench_plan *plan,
			 char why[256])
{
	return bare_cuda(r, plan, why);
}
