// SPDX-License-Identifier: MIT
/*
 * device_live.c - the toolstack changed what it wrote about a device
 *
 * What holds at once reaches arbiter and worker without disturbing either. What
 * cannot be taken is logged, and what was in force stays: a slip of the hand
 * costs no guest its device.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "device_parts.h"
#include "log.h"

static void refuse_value(const struct device *d, enum config_key key,
			 const char *why)
{
	log_event(LOG_WARN, "config", F_DEV(d), F_STR("node", config_node(key)),
		  F_STR("why", why), F_NUM("kept", d->config.value[key]));
}

/* The worker has the quota from its start, and hears of another by a message. */
static bool tell_worker(const struct device *d, char why[WORKER_WHY])
{
	const struct msg m = {.type = MSG_QUOTA,
			      .u.mem_quota = d->config.value[CONFIG_MEM]};

	if (!d->worker.pid || send(d->worker.fd, &m, sizeof(m),
				   MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(m))
		return true;
	snprintf(why, WORKER_WHY, "the worker cannot be told: %s",
		 strerror(errno));
	return false;
}

static bool apply(struct device *d, enum config_key key, char why[WORKER_WHY])
{
	if (key == CONFIG_MEM)
		return tell_worker(d, why);
	if (d->share)
		arbiter_set(d->bd->arbiter, d->share,
			    d->config.value[CONFIG_WEIGHT],
			    d->config.value[CONFIG_CAP]);
	return true;
}

static void change(struct device *d, enum config_key key)
{
	const struct policy *policy = &d->bd->policy;
	uint64_t was = d->config.value[key];
	struct device_config now = d->config;
	char why[WORKER_WHY];

	if (!config_read(d->bd->xs, d->dir, key, &now.value[key], why))
		return refuse_value(d, key, why);
	if (now.value[key] == was)
		return;
	if (!config_is_live(key)) {
		log_event(LOG_INFO, "config", F_DEV(d),
			  F_STR("node", config_node(key)),
			  F_NUM("value", now.value[key]), F_NUM("kept", was),
			  F_STR("msg", "holds when the device connects again"));
		return;
	}
	if (!config_fits(&now, policy,
			 offers_get(&d->bd->offers, now.value[CONFIG_GPU]),
			 why))
		return refuse_value(d, key, why);
	d->config = now;
	if (!apply(d, key, why)) {
		d->config.value[key] = was;
		return refuse_value(d, key, why);
	}
	log_event(LOG_INFO, "config", F_DEV(d), F_STR("node", config_node(key)),
		  F_NUM("value", d->config.value[key]), F_NUM("was", was));
}

void device_changed(struct device *d)
{
	uint32_t changed = d->changed;

	d->changed = 0;
	/* Before its offer nothing has been read; after its end all will be. */
	if (d->phase != DEV_OFFERED && d->phase != DEV_STARTING &&
	    d->phase != DEV_CONNECTED)
		return;
	for (enum config_key key = 0; key < NR_CONFIG; key++)
		if (changed & (1u << key))
			change(d, key);
}
