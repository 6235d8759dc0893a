// SPDX-License-Identifier: MIT
/*
 * remember.c - gives remembered domains their devices back (see remember.h)
 *
 *   notice -> look: new domains -> their entries -> directories in xenstore
 *                   UUIDs and names that changed -> the state file
 *
 * libxl makes a domain's directory first and introduces it to xenstored later;
 * before that it counts as gone. So a domain that is not complete is looked at
 * again by a timer, which soon gives up until the next notice.
 */
#include "remember.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/device_nodes.h"
#include "../tools/registry.h"
#include "log.h"

/* xl create and xl rename write there, and hardly anything else does. */
#define WATCH_NAMES "remember"

#define FIRST_RETRY_MS 20
#define MAX_RETRY_MS 1000
#define MAX_TRIES 12

/*
 * A domain that is there.
 *
 * @done: it has been looked at
 * @adopted: by its name; the file does not have its UUID yet
 * @warned: that it waits for a backend was logged
 */
struct seen {
	struct domain d;
	bool done;
	bool adopted;
	bool warned;
	bool present;
};

/*
 * @noticed: look; @renamed: at the names, too
 * @write: the state file has to be changed
 * @retry: when to look again by ourselves, 0: not; @tries: since the last notice
 * @why: the last complaint about the file, which is not repeated
 */
struct remember {
	struct xs_handle *xs;
	const char *path;
	unsigned int self;
	struct seen *seen;
	size_t n;
	bool noticed;
	bool renamed;
	bool write;
	uint64_t retry;
	unsigned int tries;
	char why[REGISTRY_ERR];
};

struct remember *remember_start(struct xs_handle *xs, const char *path)
{
	unsigned int self = domain_self(xs);
	struct remember *r;

	if (self) {
		log_event(LOG_INFO, "remember-off",
			  F_STR("msg", "devices are remembered in dom0"));
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		log_event(LOG_ERROR, "remember-off",
			  F_STR("why", strerror(errno)));
		return NULL;
	}
	r->xs = xs;
	r->path = path;
	r->self = self;
	r->noticed = true;
	if (!xs_watch(xs, "/vm", WATCH_NAMES))
		log_event(LOG_WARN, "watch",
			  F_STR("msg", "not told when a domain is renamed"),
			  F_STR("why", strerror(errno)));
	return r;
}

void remember_end(struct remember *r)
{
	if (r)
		free(r->seen);
	free(r);
}

static bool is_name(const char *path)
{
	const char *node = strrchr(path, '/');

	return node && !strcmp(node, "/name");
}

bool remember_watch(struct remember *r, const char *path, const char *token)
{
	bool ours = !strcmp(token, WATCH_NAMES);

	if (!r || (!ours && path[0] != '@'))
		return ours;
	r->noticed = true;
	r->renamed |= ours && is_name(path);
	r->tries = 0;
	return ours;
}

uint64_t remember_deadline(const struct remember *r)
{
	return r ? r->retry : 0;
}

static void complain(struct remember *r, const char *why)
{
	if (!strcmp(r->why, why))
		return;
	snprintf(r->why, sizeof(r->why), "%s", why);
	log_event(LOG_ERROR, "remember", F_STR("why", why),
		  F_STR("msg", REGISTRY_ADVICE));
}

/* ---- domains ---------------------------------------------------------- */

static struct seen *find_seen(struct remember *r, unsigned int id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->seen[i].d.id == id)
			return &r->seen[i];
	return NULL;
}

static struct seen *add_seen(struct remember *r, unsigned int id)
{
	struct seen *more = realloc(r->seen, (r->n + 1) * sizeof(*r->seen));

	if (!more)
		return NULL;
	r->seen = more;
	r->seen[r->n] = (struct seen){.d.id = id};
	return &r->seen[r->n++];
}

static bool lives_on(const struct remember *r, const struct seen *gone)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->seen[i].present &&
		    !strcmp(r->seen[i].d.uuid, gone->d.uuid))
			return true;
	return false;
}

/*
 * Where a domain has moved within the host there were two with its UUID for a
 * while. The state file has the name of the one that left, which xl had renamed.
 */
static void drop_absent(struct remember *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->seen[i].present)
			r->seen[kept++] = r->seen[i];
		else if (r->seen[i].done && lives_on(r, &r->seen[i]))
			r->write = true;
	}
	r->n = kept;
}

/* False: no answer, or no memory: the next look will do. */
static bool list_domains(struct remember *r)
{
	size_t n;
	unsigned int *ids = domain_ids(r->xs, &n);

	if (!ids)
		return false;
	for (size_t i = 0; i < r->n; i++)
		r->seen[i].present = false;
	for (size_t i = 0; i < n; i++) {
		struct seen *s = find_seen(r, ids[i]);

		if (!s)
			s = add_seen(r, ids[i]);
		if (s)
			s->present = true;
	}
	free(ids);
	drop_absent(r);
	return true;
}

/* Has it all that a domain is known by, and may devices be given to it? */
static bool complete(struct remember *r, struct seen *s)
{
	if (!s->d.uuid[0] || !s->d.name[0])
		domain_read(r->xs, s->d.id, &s->d);
	return s->d.uuid[0] && s->d.name[0] &&
	       xs_is_domain_introduced(r->xs, s->d.id);
}

/* For the functions of registry.h; malloced, r->n of them. */
static struct domain *running(const struct remember *r)
{
	struct domain *list = calloc(r->n + 1, sizeof(*list));

	for (size_t i = 0; list && i < r->n; i++)
		list[i] = r->seen[i].d;
	return list;
}

/* ---- devices ---------------------------------------------------------- */

/*
 * False: not yet: its backend's domain is not there, or xenstore has not taken it.
 * Tried again when a domain comes or goes.
 */
static bool attach(struct remember *r, struct seen *s,
		   const struct registry_entry *e)
{
	struct vgpu_dev dev = {.back = r->self, .guest = s->d.id};
	char why[NODES_ERR];

	if (e->line.backend[0] &&
	    !domain_find(r->xs, e->line.backend, &dev.back)) {
		if (!s->warned)
			log_event(LOG_WARN, "attach-waits",
				  F_NUM("domid", s->d.id),
				  F_NUM("dev", e->line.devid),
				  F_STR("backend", e->line.backend),
				  F_STR("why", "there is no such domain"));
		s->warned = true;
		return false;
	}
	switch (nodes_add(r->xs, &dev, &e->line, 0, why)) {
	case NODES_NEW:
		log_event(LOG_INFO, "attached", F_NUM("domid", s->d.id),
			  F_NUM("dev", dev.devid), F_STR("name", s->d.name),
			  F_STR("uuid", s->d.uuid));
		break;
	case NODES_FAILED:
		if (!s->warned)
			log_event(LOG_WARN, "attach-failed",
				  F_NUM("domid", s->d.id),
				  F_NUM("dev", e->line.devid),
				  F_STR("why", why));
		s->warned = true;
		return false;
	case NODES_TAKEN:
		log_event(LOG_INFO, "attach-failed", F_NUM("domid", s->d.id),
			  F_NUM("dev", e->line.devid), F_STR("why", why));
		break;
	case NODES_THERE:
		/* vgpuctl was faster, or we were restarted. */
		break;
	}
	return true;
}

static void attach_all(struct remember *r, struct seen *s,
		       const struct registry *reg)
{
	s->done = true;
	for (size_t i = 0; i < reg->n; i++)
		if (!strcmp(reg->entry[i].uuid, s->d.uuid) &&
		    !attach(r, s, &reg->entry[i]))
			s->done = false;
}

static void look_at(struct remember *r, struct seen *s, struct registry *reg,
		    const struct domain *all)
{
	enum registry_match match = registry_match(reg, &s->d, all, r->n);

	s->adopted |= match == REGISTRY_ADOPTED;
	r->write |= s->adopted;
	if (match == REGISTRY_OTHERS)
		log_event(LOG_WARN, "attach-failed", F_NUM("domid", s->d.id),
			  F_STR("name", s->d.name),
			  F_STR("why", "several remembered domains have this "
				       "name: vgpuctl forget UUID removes "
				       "those that are not meant"));
	attach_all(r, s, reg);
}

/* All that are complete and have not been looked at. */
static void look_at_new(struct remember *r)
{
	char err[REGISTRY_ERR];
	struct registry reg;
	struct domain *all;

	if (registry_load(&reg, r->path, err) != REGISTRY_OK) {
		complain(r, err);
		return;
	}
	r->why[0] = '\0';
	all = running(r);
	for (size_t i = 0; all && i < r->n; i++)
		if (!r->seen[i].done && complete(r, &r->seen[i]))
			look_at(r, &r->seen[i], &reg, all);
	free(all);
	registry_free(&reg);
}

/* ---- what has changed ------------------------------------------------- */

/* vgpuctl may have attached to any of them by now. */
static void notice_names(struct remember *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct seen *s = &r->seen[i];
		struct domain now;

		if (!s->done || s->d.id == r->self)
			continue;
		domain_read(r->xs, s->d.id, &now);
		if (strcmp(now.uuid, s->d.uuid) || !now.name[0] ||
		    !strcmp(now.name, s->d.name))
			continue;
		s->d = now;
		r->write = true;
	}
}

/* The entries as we know them now, from a file that may have changed. */
static bool update(struct remember *r, struct registry *reg)
{
	struct domain *all = running(r);
	bool changed = all && registry_follow(reg, all, r->n);

	for (size_t i = 0; all && i < r->n; i++)
		if (r->seen[i].adopted &&
		    registry_match(reg, &r->seen[i].d, all, r->n) ==
			    REGISTRY_ADOPTED)
			changed = true;
	free(all);
	return changed;
}

/* False: somebody else is writing; again, soon. */
static bool write_file(struct remember *r)
{
	char err[REGISTRY_ERR];
	struct registry reg;

	switch (registry_open(&reg, r->path, 0, err)) {
	case REGISTRY_BUSY:
		return false;
	case REGISTRY_BAD:
		complain(r, err);
		break;
	case REGISTRY_OK:
		if (update(r, &reg) && !registry_save(&reg, err))
			complain(r, err);
		registry_close(&reg);
		break;
	}
	r->write = false;
	for (size_t i = 0; i < r->n; i++)
		r->seen[i].adopted = false;
	return true;
}

/* ---- the look --------------------------------------------------------- */

/* Is there one to look at now; is there one that may become so? */
static void sort_out(struct remember *r, bool *now, bool *later)
{
	for (size_t i = 0; i < r->n; i++) {
		struct seen *s = &r->seen[i];

		if (s->d.id == r->self)
			s->done = true;
		if (s->done)
			continue;
		if (complete(r, s))
			*now = true;
		else
			*later = true;
	}
}

static void try_again(struct remember *r, uint64_t now)
{
	unsigned int ms = FIRST_RETRY_MS << r->tries;

	if (r->tries++ == MAX_TRIES) {
		if (r->write)
			log_event(LOG_WARN, "remember",
				  F_STR("why", "the state file stays locked; "
					       "tried again at the next "
					       "event"));
		return;
	}
	r->retry = now + (ms < MAX_RETRY_MS ? ms : MAX_RETRY_MS);
}

void remember_run(struct remember *r, uint64_t now)
{
	bool due = false, later = false;

	if (!r || (!r->noticed && (!r->retry || now < r->retry)))
		return;
	r->noticed = false;
	r->retry = 0;
	if (!list_domains(r)) {
		try_again(r, now);
		return;
	}
	sort_out(r, &due, &later);
	if (due)
		look_at_new(r);
	if (r->renamed)
		notice_names(r);
	r->renamed = false;
	if (r->write && !write_file(r))
		later = true;
	if (later)
		try_again(r, now);
}
