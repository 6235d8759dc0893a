/* SPDX-License-Identifier: MIT */
/*
 * device_config.h - what the toolstack wrote about a device
 *
 * Owns the reading of these nodes, their ranges and defaults, and the check of
 * what they ask for against what this backend has. Used by the supervisor's one
 * thread. Must never take a value that the schema does not allow, nor one that is
 * missing for one that is wrong.
 */
#ifndef VGPU_BACKEND_DEVICE_CONFIG_H
#define VGPU_BACKEND_DEVICE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#include "offer.h"

struct policy;

enum config_key {
	CONFIG_GPU,
	CONFIG_MEM,
	CONFIG_WEIGHT,
	CONFIG_CAP,
	CONFIG_BUFFERS,
	CONFIG_PAGES,
	CONFIG_MPS,
	NR_CONFIG,
};

/* Each in the range of the schema. A quota that is missing is UINT32_MAX. */
struct device_config {
	uint64_t value[NR_CONFIG];
};

const char *config_node(enum config_key key);
/* The key of a node's name; NR_CONFIG: it is none of them. */
enum config_key config_key_of(const char *node);
/* A change holds at once; that of others when the device connects again. */
bool config_is_live(enum config_key key);

/* One node, or its default where it is missing. False, and why. */
bool config_read(struct xs_handle *xs, const char *dir, enum config_key key,
		 uint64_t *value, char why[WORKER_WHY]);
/* All of them, up to the first that is wrong. */
bool config_read_all(struct xs_handle *xs, const char *dir,
		     struct device_config *c, char why[WORKER_WHY]);

/* Can this backend give what is asked for? offer: of its GPU. False, and why. */
bool config_fits(const struct device_config *c, const struct policy *policy,
		 const struct offer *offer, char why[WORKER_WHY]);

/* The least of what quota and backend allow. */
uint32_t config_buffers(const struct device_config *c);
uint32_t config_pages(const struct device_config *c,
		      const struct policy *policy);

#endif /* VGPU_BACKEND_DEVICE_CONFIG_H */
