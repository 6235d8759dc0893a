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

/* "NAME:count,..." of the counts that are not 0, from first on. */
static void list_counts(char *out, size_t size,
			const char *(*name)(unsigned int),
			const uint64_t *count, unsigned int first,
			unsigned int end)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned int i = first; i < end && len < size; i++)
		if (count[i])
			len += snprintf(out + len, size - len, "%s%s:%llu",
					len ? "," : "", name(i),
					(unsigned long long)count[i]);
}

static const char *status_name(unsigned int status)
{
	static const char *const names[] = {
#define STATUS_NAME(name, code, err, text) [code] = #name,
		VGPU_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
	};

	return names[status];
}

void stats_log(uint32_t domid, uint32_t devid, const struct vgpu_stats *st,
	       const struct arbiter_use *use)
{
	char by_status[1024], by_path[512];

	list_counts(by_status, sizeof(by_status), status_name, st->status,
		    VGPU_RSP_OK + 1, VGPU_RSP_MAX + 1);
	list_counts(by_path, sizeof(by_path), vgpu_path_name, st->path,
		    VGPU_PATH_NONE + 1, VGPU_NR_PATHS);
	log_event(
		LOG_INFO, "stats", F_NUM("domid", domid), F_NUM("dev", devid),
		F_NUM("requests", st->requests), F_NUM("quiet", st->quiet),
		F_NUM("retired", st->retired),
		F_NUM("errors", stats_errors(st)),
		F_STR("by_status", by_status), F_STR("by_path", by_path),
		F_NUM("wakeups", st->wakeups), F_NUM("sleeps", st->sleeps),
		F_NUM("polls_hit", st->polls_hit),
		F_NUM("polls_vain", st->polls_vain),
		F_NUM("batches", st->batches),
		F_NUM("notify_sent", st->notify_sent),
		F_NUM("notify_suppressed", st->notify_suppressed),
		F_NUM("busy_ns", st->busy_ns), F_NUM("launches", st->launches),
		F_NUM("buffers", st->buffers),
		F_NUM("bytes_mapped", st->bytes_mapped),
		F_NUM("objects", st->objects), F_NUM("mem_used", st->mem_used),
		F_NUM("gpu_used_ns", use->used_ns),
		F_NUM("gpu_grants", use->grants),
		F_NUM("gpu_wait_ns", use->wait_ns),
		F_NUM("gpu_wait_max_ns", use->wait_max_ns));
}
