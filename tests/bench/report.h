/* SPDX-License-Identifier: MIT */
/*
 * report.h - what was measured, for people and for programs
 */
#ifndef VGPU_BENCH_REPORT_H
#define VGPU_BENCH_REPORT_H

#include <stdio.h>

#include "bench.h"

/* Where and when; read from the system. */
struct report_host {
	char date[32];
	char kernel[2 * BENCH_TEXT];
	char cpu[2 * BENCH_TEXT];
	long processors;
};

void report_host(struct report_host *h);
void report_table(FILE *to, const struct results *r,
		  const struct report_host *h);
/* False with errno: it could not be written. */
bool report_json(const char *path, const struct results *r,
		 const struct report_host *h, bool quick);

#endif /* VGPU_BENCH_REPORT_H */
