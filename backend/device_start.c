// SPDX-License-Identifier: MIT
/*
 * device_start.c - offers a device and starts its worker (see device_parts.h)
 *
 * What the toolstack wrote is read and checked at the offer, and kept; what the
 * guest wrote is read when it says that it is ready.
 */
#include "device_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "log.h"
#include "negotiate.h"
#include "vgpu_nodes.h"

/* An engine may take seconds to open. */
#define START_MS 60000
#define NEGOTIATE_TRIES 8

/*
 * The toolstack's frontend node must name the directory that belongs to this
 * backend: a frontend elsewhere would be another domain's, or a copy.
 */
static bool frontend_is_ours(struct device *d)
{
	unsigned int len;
	uint64_t id;
	char *path = store_read(d->bd->xs, XBT_NULL, d->dir, VGPU_NODE_FRONTEND,
				&len);
	bool ok =
		path && len == strlen(d->front) && !memcmp(path, d->front, len);

	free(path);
	return ok &&
	       store_read_uint(d->bd->xs, XBT_NULL, d->dir,
			       VGPU_NODE_FRONTEND_ID, UINT32_MAX, &id) &&
	       id == d->domid;
}

/* A quota above what this backend does for anybody is no error, and no promise. */
static void note_quota(const struct device *d, enum config_key key,
		       uint32_t limit)
{
	uint64_t quota = d->config.value[key];

	if (quota > limit && quota != UINT32_MAX)
		log_event(LOG_WARN, "config", F_DEV(d),
			  F_STR("node", config_node(key)),
			  F_NUM("value", quota), F_NUM("used", limit),
			  F_STR("why", "this backend allows no more"));
}

static bool publish(struct device *d, const struct offer *o)
{
	struct store_node nodes[OFFER_NODES + 2];
	char state[4], buffers[12];
	unsigned int n;

	snprintf(buffers, sizeof(buffers), "%u", config_buffers(&d->config));
	snprintf(state, sizeof(state), "%d", XenbusStateInitWait);
	n = offer_nodes(o, buffers, nodes);
	nodes[n++] = (struct store_node){VGPU_NODE_ERROR, NULL};
	nodes[n++] = (struct store_node){VGPU_NODE_STATE, state};
	return store_update(d->bd->xs, d->dir, nodes, n);
}

void device_offer(struct device *d)
{
	const struct policy *policy = &d->bd->policy;
	struct device_config *c = &d->config;
	char why[WORKER_WHY];
	const struct offer *o;

	if (!frontend_is_ours(d))
		return device_refuse(d, "frontend or frontend-id is not that "
					"of this backend directory");
	if (!config_read_all(d->bd->xs, d->dir, c, why))
		return device_refuse(d, why);
	o = offers_get(&d->bd->offers, c->value[CONFIG_GPU]);
	if (o->state == OFFER_FAILED)
		return device_refuse(d, o->why);
	if (o->state != OFFER_PASSED)
		return;
	if (!config_fits(c, policy, o, why))
		return device_refuse(d, why);
	if (!publish(d, o))
		return;
	d->written = XenbusStateInitWait;
	d->why[0] = '\0';
	d->phase = DEV_OFFERED;
	pace_charge(&d->pace, clock_ms(), PACE_OFFER_MS);
	note_quota(d, CONFIG_BUFFERS, BACK_MAX_BUFFERS);
	note_quota(d, CONFIG_PAGES, policy->max_mapped_pages);
	log_event(LOG_INFO, "offered", F_DEV(d),
		  F_NUM("gpu", c->value[CONFIG_GPU]),
		  F_STR("engine", o->fact[FACT_ENGINE]),
		  F_NUM("mem", c->value[CONFIG_MEM]),
		  F_NUM("weight", c->value[CONFIG_WEIGHT]),
		  F_NUM("cap", c->value[CONFIG_CAP]),
		  F_NUM("mps", c->value[CONFIG_MPS]));
}

struct node_source {
	struct device *d;
	xs_transaction_t t;
};

static char *read_node(void *arg, const char *node, unsigned int *len)
{
	const struct node_source *src = arg;

	return store_read(src->d->bd->xs, src->t, src->d->front, node, len);
}

/* In one transaction, so that all values are of one moment. */
static bool read_frontend(struct device *d, struct worker_config *cfg,
			  char why[WORKER_WHY])
{
	struct node_source src = {.d = d};
	bool ok;

	for (int i = 0; i < NEGOTIATE_TRIES; i++) {
		src.t = xs_transaction_start(d->bd->xs);
		if (src.t == XBT_NULL)
			break;
		ok = negotiate(read_node, &src, cfg, why);
		if (xs_transaction_end(d->bd->xs, src.t, false))
			return ok;
		if (errno != EAGAIN)
			break;
	}
	snprintf(why, WORKER_WHY, "frontend's nodes cannot be read: %s",
		 strerror(errno));
	return false;
}

static void fill_config(const struct device *d, struct worker_config *cfg)
{
	const struct policy *policy = &d->bd->policy;

	cfg->gpu = d->config.value[CONFIG_GPU];
	cfg->mem_quota = d->config.value[CONFIG_MEM];
	cfg->domid = d->domid;
	cfg->devid = d->devid;
	cfg->log_level = log_get_level();
	cfg->poll_us = policy->poll_us;
	cfg->max_buffers = config_buffers(&d->config);
	cfg->max_mapped_pages = config_pages(&d->config, policy);
	cfg->max_launch_ms = policy->max_launch_ms;
	cfg->kernels = policy->kernels;
	snprintf(cfg->engine, sizeof(cfg->engine), "%s", d->bd->offers.engine);
}

/* The worker, and its place among those who share the GPU. */
static bool spawn(struct device *d)
{
	const uint64_t *value = d->config.value;
	struct arbiter_fds fds;

	d->share = arbiter_add(d->bd->arbiter, value[CONFIG_GPU],
			       value[CONFIG_WEIGHT], value[CONFIG_CAP], &fds);
	if (!d->share)
		return false;
	if (child_spawn_worker(&d->worker, &fds,
			       value[CONFIG_MPS] ? d->bd->policy.mps_pipe :
						   NULL))
		return true;
	arbiter_remove(d->bd->arbiter, d->share);
	d->share = NULL;
	return false;
}

void device_start(struct device *d)
{
	struct msg m = {.type = MSG_CONFIG};
	struct worker_config *cfg = &m.u.config;
	char why[WORKER_WHY];

	if (!read_frontend(d, cfg, why))
		return device_refuse(d, why);
	fill_config(d, cfg);
	if (!spawn(d)) {
		snprintf(why, sizeof(why), "cannot start a worker: %s",
			 strerror(errno));
		return device_refuse(d, why);
	}
	d->phase = DEV_STARTING;
	d->reports = 0;
	d->deadline = clock_ms() + START_MS;
	log_event(LOG_INFO, "starting", F_DEV(d), F_NUM("pid", d->worker.pid),
		  F_NUM("ring_order", cfg->ring_order),
		  F_NUM("event_channel", cfg->event_channel),
		  F_NUM("arena_pages", cfg->arena_pages));
	if (send(d->worker.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    sizeof(m))
		child_kill(&d->worker);
}
