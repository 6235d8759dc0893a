// SPDX-License-Identifier: MIT
/*
 * stats.c - sums and prints struct vgpu_stats; pure but for the log
 */
#include "stats.h"

#include <stdio.h>

#include "log.h"

uint64_t stats_errors(const struct vgpu_stats *st)
{
	uint64_t sum = 0;

	for (unsigned int i = VGPU_RSP_OK + 1; i <= VGPU_RSP_MAX; i++)
		sum += st->status[i];
	return sum;
}

void stats_log(uint32_t domid, uint32_t devid, const struct vgpu_stats *st)
{
	static const char *const names[] = {
#define STATUS_NAME(name, code, err, text) [code] = #name,
		VGPU_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
	};
	char by_status[1024] = "";
	size_t len = 0;

	for (unsigned int i = VGPU_RSP_OK + 1; i <= VGPU_RSP_MAX; i++) {
		if (!st->status[i])
			continue;
		len += snprintf(by_status + len, sizeof(by_status) - len,
				"%s%s:%llu", len ? "," : "", names[i],
				(unsigned long long)st->status[i]);
	}
	log_event(LOG_INFO, "stats", F_NUM("domid", domid), F_NUM("dev", devid),
		  F_NUM("requests", st->requests),
		  F_NUM("errors", stats_errors(st)),
		  F_STR("by_status", by_status), F_NUM("wakeups", st->wakeups),
		  F_NUM("batches", st->batches),
		  F_NUM("notify_sent", st->notify_sent),
		  F_NUM("notify_suppressed", st->notify_suppressed),
		  F_NUM("busy_ns", st->busy_ns), F_NUM("buffers", st->buffers),
		  F_NUM("bytes_mapped", st->bytes_mapped));
}
