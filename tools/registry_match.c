/* SPDX-License-Identifier: MIT */
/*
 * registry_match.c - which entries of the state file are whose (registry.h)
 *
 * A domain is known by its UUID, which reboot, save and restore keep. What has
 * none in its config gets a new one whenever it is created, and is known by its
 * name. Pure functions.
 */
#include "registry.h"

#include <string.h>

static bool lives(const char *uuid, const struct domain *running, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(running[i].uuid, uuid))
			return true;
	return false;
}

/*
 * The name of the domain with that UUID, NULL: it does not run. While it moves
 * within the host there are two; name says which one to stay with.
 */
static const char *name_now(const char *uuid, const char *name,
			    const struct domain *running, size_t n)
{
	const char *now = NULL;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(running[i].uuid, uuid) || !running[i].name[0])
			continue;
		if (!now || !strcmp(running[i].name, name))
			now = running[i].name;
	}
	return now;
}

size_t registry_follow(struct registry *r, const struct domain *running,
		       size_t n)
{
	size_t changed = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct registry_entry *e = &r->entry[i];
		const char *now = name_now(e->uuid, e->name, running, n);

		if (!now || !strcmp(now, e->name))
			continue;
		strcpy(e->name, now);
		changed++;
	}
	return changed;
}

/* One of the domain's name whose own domain does not run. */
static bool left_over(const struct registry_entry *e, const struct domain *d,
		      const struct domain *running, size_t n)
{
	return !strcmp(e->name, d->name) && !lives(e->uuid, running, n);
}

enum registry_match registry_match(struct registry *r, const struct domain *d,
				   const struct domain *running, size_t n)
{
	const struct registry_entry *first = NULL;
	char uuid[DOMAIN_UUID_LEN];

	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->entry[i].uuid, d->uuid))
			return REGISTRY_KNOWN;
	for (size_t i = 0; i < r->n; i++) {
		const struct registry_entry *e = &r->entry[i];

		if (!left_over(e, d, running, n))
			continue;
		if (first && strcmp(first->uuid, e->uuid))
			return REGISTRY_OTHERS;
		first = e;
	}
	if (!first)
		return REGISTRY_UNKNOWN;
	strcpy(uuid, first->uuid);
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->entry[i].uuid, uuid) &&
		    !strcmp(r->entry[i].name, d->name))
			strcpy(r->entry[i].uuid, d->uuid);
	return REGISTRY_ADOPTED;
}
