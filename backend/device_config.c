// SPDX-License-Identifier: MIT
/*
 * device_config.c - reads and checks the toolstack's nodes (see device_config.h)
 */
#include "device_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xenstore-schema/values.h"
#include "backd.h"
#include "vgpu_nodes.h"

struct rule {
	const char *node;
	uint64_t min;
	uint64_t max;
	uint64_t missing;
	bool live;
};

/* The schema's ranges; GPUs are ours. */
#define RULE(node, max, live)                                                  \
	{                                                                      \
		node, node##_MIN, max, node##_DEFAULT, live                    \
	}

static const struct rule rules[NR_CONFIG] = {
	[CONFIG_GPU] = RULE(VGPU_NODE_GPU, BACK_MAX_GPUS - 1, false),
	[CONFIG_MEM] = RULE(VGPU_NODE_MEM, VGPU_NODE_MEM_MAX, true),
	[CONFIG_WEIGHT] = RULE(VGPU_NODE_WEIGHT, VGPU_NODE_WEIGHT_MAX, true),
	[CONFIG_CAP] = RULE(VGPU_NODE_CAP, VGPU_NODE_CAP_MAX, true),
	[CONFIG_BUFFERS] = {VGPU_NODE_QUOTA_BUFFERS,
			    VGPU_NODE_QUOTA_BUFFERS_MIN,
			    VGPU_NODE_QUOTA_BUFFERS_MAX, UINT32_MAX, false},
	[CONFIG_PAGES] = {VGPU_NODE_QUOTA_PAGES, VGPU_NODE_QUOTA_PAGES_MIN,
			  VGPU_NODE_QUOTA_PAGES_MAX, UINT32_MAX, false},
	[CONFIG_MPS] = {VGPU_NODE_MPS, 0, 1, VGPU_NODE_MPS_DEFAULT, false},
};

_Static_assert(VGPU_NODE_WEIGHT_MAX <= SCHED_MAX_WEIGHT &&
		       VGPU_NODE_WEIGHT_MIN >= 1 &&
		       VGPU_NODE_CAP_MAX <= SCHED_MAX_CAP,
	       "what the schema lets through the scheduler takes");
_Static_assert(VGPU_NODE_WEIGHT_DEFAULT == SCHED_WEIGHT,
	       "a device without a weight has the scheduler's own");

const char *config_node(enum config_key key)
{
	return rules[key].node;
}

enum config_key config_key_of(const char *node)
{
	enum config_key key = 0;

	while (key < NR_CONFIG && strcmp(node, rules[key].node))
		key++;
	return key;
}

bool config_is_live(enum config_key key)
{
	return rules[key].live;
}

bool config_read(struct xs_handle *xs, const char *dir, enum config_key key,
		 uint64_t *value, char why[WORKER_WHY])
{
	const struct rule *rule = &rules[key];
	char shown[VGPU_SHOW_LEN];
	unsigned int len;
	char *text = store_read(xs, XBT_NULL, dir, rule->node, &len);
	uint64_t n;
	bool ok;

	if (!text && errno == ENOENT) {
		*value = rule->missing;
		return true;
	}
	if (!text) {
		snprintf(why, WORKER_WHY, "%s cannot be read: %s", rule->node,
			 strerror(errno));
		return false;
	}
	ok = vgpu_parse_uint(text, len, rule->max, &n) && n >= rule->min;
	if (ok)
		*value = n;
	else
		snprintf(why, WORKER_WHY,
			 "%s is \"%.32s\", must be a number %llu ... %llu",
			 rule->node, vgpu_show(shown, text, len),
			 (unsigned long long)rule->min,
			 (unsigned long long)rule->max);
	free(text);
	return ok;
}

bool config_read_all(struct xs_handle *xs, const char *dir,
		     struct device_config *c, char why[WORKER_WHY])
{
	for (enum config_key key = 0; key < NR_CONFIG; key++)
		if (!config_read(xs, dir, key, &c->value[key], why))
			return false;
	return true;
}

#define SIZE_LEN 48

/* "4294967296 (4.0 GiB)" */
static const char *size_text(char text[SIZE_LEN], uint64_t octets)
{
	static const char units[] = "KMGTPE";
	double n = (double)octets / 1024;
	int unit = 0;

	while (n >= 1024) {
		n /= 1024;
		unit++;
	}
	snprintf(text, SIZE_LEN, "%llu (%.1f %ciB)", (unsigned long long)octets,
		 n, units[unit]);
	return text;
}

bool config_fits(const struct device_config *c, const struct policy *policy,
		 const struct offer *offer, char why[WORKER_WHY])
{
	const char *memory = offer->fact[FACT_GPU_MEMORY];
	char asked[SIZE_LEN], there[SIZE_LEN];
	uint64_t n;

	if (c->value[CONFIG_MPS] && !policy->mps_pipe) {
		snprintf(why, WORKER_WHY,
			 "mps is 1, but this vgpubackd knows no MPS daemon "
			 "(--mps-pipe)");
		return false;
	}
	if (vgpu_parse_uint(memory, strlen(memory), UINT64_MAX, &n) && n &&
	    c->value[CONFIG_MEM] > n) {
		snprintf(why, WORKER_WHY, "mem is %s, GPU %u has %s",
			 size_text(asked, c->value[CONFIG_MEM]),
			 (unsigned int)c->value[CONFIG_GPU],
			 size_text(there, n));
		return false;
	}
	return true;
}

static uint32_t least(uint64_t quota, uint32_t ours)
{
	return quota < ours ? (uint32_t)quota : ours;
}

uint32_t config_buffers(const struct device_config *c)
{
	return least(c->value[CONFIG_BUFFERS], BACK_MAX_BUFFERS);
}

uint32_t config_pages(const struct device_config *c,
		      const struct policy *policy)
{
	return least(c->value[CONFIG_PAGES], policy->max_mapped_pages);
}
