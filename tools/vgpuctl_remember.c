/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_remember.c - what vgpuctl writes into the state file; forget
 *
 * Every change: take the lock, read, bring names and UUIDs in line with the
 * domains that run, change, write, give the lock back. The lock is held for no
 * longer. Must never touch xenstore but to read who a domain is.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_WAIT_MS 5000

/*
 * One change. d is the domain that it is about, and all its entries have its
 * UUID; NULL: none that runs. False: out of memory.
 */
typedef bool change_fn(struct registry *r, const struct domain *d, void *arg,
		       bool *changed);

/* Names and UUIDs as they are now; false where one cannot say whose is what. */
static bool bring_up_to_date(struct registry *r, const struct domain *d,
			     const struct domain *running, size_t n,
			     bool *changed)
{
	*changed = registry_follow(r, running, n) > 0;
	if (!d)
		return true;
	switch (registry_match(r, d, running, n)) {
	case REGISTRY_OTHERS:
		say("several remembered domains have the name \"%s\" "
		    "(vgpuctl list --remembered); vgpuctl forget UUID removes "
		    "those that are not meant",
		    d->name);
		return false;
	case REGISTRY_ADOPTED:
		*changed = true;
		return true;
	default:
		return true;
	}
}

static bool apply(struct vgpuctl *v, struct registry *r, const unsigned int *id,
		  change_fn *fn, void *arg)
{
	bool followed, changed = false, ok = false;
	char err[REGISTRY_ERR];
	struct domain *running, *d = NULL;
	size_t n;

	running = domain_list(v->xs, &n);
	for (size_t i = 0; running && id && i < n; i++)
		if (running[i].id == *id)
			d = &running[i];
	if (!running)
		say("cannot list the domains: %s", strerror(errno));
	else if (id && (!d || !d->uuid[0] || !d->name[0]))
		say("domain %u has no UUID or no name in xenstore", *id);
	else if (bring_up_to_date(r, d, running, n, &followed))
		ok = fn(r, d, arg, &changed) ||
		     (say("out of memory, or too many devices"), false);
	if (ok && (followed || changed) && !registry_save(r, err)) {
		say("%s", err);
		ok = false;
	}
	free(running);
	return ok;
}

static bool change(struct vgpuctl *v, const unsigned int *id, change_fn *fn,
		   void *arg)
{
	char err[REGISTRY_ERR];
	struct registry r;
	bool ok;

	switch (registry_open(&r, v->state_file, LOCK_WAIT_MS, err)) {
	case REGISTRY_OK:
		ok = apply(v, &r, id, fn, arg);
		registry_close(&r);
		return ok;
	case REGISTRY_BUSY:
		say("%s", err);
		return false;
	default:
		say("%s; %s", err, REGISTRY_ADVICE);
		return false;
	}
}

static struct registry_entry entry_of(const char *uuid, const char *name,
				      const struct device_line *line)
{
	struct registry_entry e = {.line = *line};

	strcpy(e.uuid, uuid);
	strcpy(e.name, name);
	return e;
}

static bool put_device(struct registry *r, const struct domain *d, void *arg,
		       bool *changed)
{
	struct registry_entry e = entry_of(d->uuid, d->name, arg);

	*changed = true;
	return registry_put(r, &e);
}

bool remember_device(struct vgpuctl *v, unsigned int guest,
		     const struct device_line *line)
{
	return change(v, &guest, put_device, (void *)line);
}

uint64_t remember_kept(struct vgpuctl *v, unsigned int guest)
{
	char err[REGISTRY_ERR];
	struct registry r;
	uint64_t kept = 0;
	struct domain d;

	domain_read(v->xs, guest, &d);
	/* Whether the file is good is seen when the device is remembered. */
	if (registry_load(&r, v->state_file, err) != REGISTRY_OK)
		return 0;
	for (size_t i = 0; i < r.n; i++)
		if (!strcmp(r.entry[i].uuid, d.uuid) &&
		    r.entry[i].line.devid < VGPU_DEV_MAX)
			kept |= (uint64_t)1 << r.entry[i].line.devid;
	registry_free(&r);
	return kept;
}

static bool change_device(struct registry *r, const struct domain *d, void *arg,
			  bool *changed)
{
	const struct device_line *line = arg;
	struct registry_entry *e = registry_find(r, d->uuid, line->devid);

	if (!e)
		return true;
	e->line.mem = line->mem;
	e->line.weight = line->weight;
	e->line.cap = line->cap;
	*changed = true;
	return true;
}

bool remember_change(struct vgpuctl *v, unsigned int guest,
		     const struct device_line *line)
{
	return change(v, &guest, change_device, (void *)line);
}

struct gone {
	const struct vgpu_dev *dev;
	size_t n;
	const char *uuid;
};

static bool is_gone(const struct registry_entry *e, const void *arg)
{
	const struct gone *g = arg;

	if (strcmp(e->uuid, g->uuid))
		return false;
	for (size_t i = 0; i < g->n; i++)
		if (e->line.devid == (int)g->dev[i].devid)
			return true;
	return false;
}

static bool drop_devices(struct registry *r, const struct domain *d, void *arg,
			 bool *changed)
{
	struct gone *g = arg;

	g->uuid = d->uuid;
	*changed = registry_drop(r, is_gone, g) > 0;
	return true;
}

bool remember_not(struct vgpuctl *v, unsigned int guest,
		  const struct vgpu_dev *dev, size_t n)
{
	struct gone gone = {.dev = dev, .n = n};
	struct domain d;

	domain_read(v->xs, guest, &d);
	/* What a domain that is gone left in xenstore; its devices stay known. */
	if (!d.uuid[0])
		return true;
	return change(v, &guest, drop_devices, &gone);
}

/* ---- create ---- */

struct whole_domain {
	const char *name;
	const char *uuid;
	const struct device_line *line;
	size_t n;
	struct registry *before;
};

static bool is_of_domain(const struct registry_entry *e, const void *arg)
{
	const struct whole_domain *w = arg;

	return !strcmp(e->name, w->name) || !strcmp(e->uuid, w->uuid);
}

static bool replace_domain(struct registry *r, const struct domain *d,
			   void *arg, bool *changed)
{
	struct whole_domain *w = arg;
	const char *uuid = w->uuid[0] ? w->uuid : REGISTRY_NO_UUID;

	(void)d;
	for (size_t i = 0; i < r->n; i++)
		if (is_of_domain(&r->entry[i], w) &&
		    !registry_put(w->before, &r->entry[i]))
			return false;
	*changed = registry_drop(r, is_of_domain, w) || w->n;
	for (size_t i = 0; i < w->n; i++) {
		struct registry_entry e = entry_of(uuid, w->name, &w->line[i]);

		if (!registry_put(r, &e))
			return false;
	}
	return true;
}

bool remember_domain(struct vgpuctl *v, const char *name, const char *uuid,
		     const struct device_line *line, size_t n,
		     struct registry *before)
{
	struct whole_domain w = {name, uuid, line, n, before};

	*before = REGISTRY_NONE;
	if (!*name || strlen(name) >= DOMAIN_NAME_LEN) {
		say("a name of more than %d octets cannot be remembered",
		    DOMAIN_NAME_LEN - 1);
		return false;
	}
	return change(v, NULL, replace_domain, &w);
}

static bool restore_domain(struct registry *r, const struct domain *d,
			   void *arg, bool *changed)
{
	struct whole_domain *w = arg;

	(void)d;
	*changed = registry_drop(r, is_of_domain, w) || w->before->n;
	for (size_t i = 0; i < w->before->n; i++)
		if (!registry_put(r, &w->before->entry[i]))
			return false;
	return true;
}

bool remember_undo(struct vgpuctl *v, const char *name,
		   const struct registry *before)
{
	struct whole_domain w = {
		.name = name, .uuid = "", .before = (struct registry *)before};

	return change(v, NULL, restore_domain, &w);
}

static bool nothing_more(struct registry *r, const struct domain *d, void *arg,
			 bool *changed)
{
	(void)r;
	(void)d;
	(void)arg;
	*changed = false;
	return true;
}

bool remember_running(struct vgpuctl *v, unsigned int guest)
{
	return change(v, &guest, nothing_more, NULL);
}

/* ---- forget ---- */

struct forgotten {
	const char *text;
	char uuid[DOMAIN_UUID_LEN]; /* "": text is a name */
	size_t devices;
	bool several;
};

static bool is_meant(const struct registry_entry *e, const void *arg)
{
	const struct forgotten *f = arg;

	return !strcmp(f->uuid[0] ? e->uuid : e->name,
		       f->uuid[0] ? f->uuid : f->text);
}

static bool forget(struct registry *r, const struct domain *d, void *arg,
		   bool *changed)
{
	const struct registry_entry *first = NULL;
	struct forgotten *f = arg;

	(void)d;
	for (size_t i = 0; i < r->n; i++) {
		if (!is_meant(&r->entry[i], f))
			continue;
		f->several |= first && strcmp(first->uuid, r->entry[i].uuid);
		first = &r->entry[i];
	}
	if (!f->several)
		f->devices = registry_drop(r, is_meant, f);
	*changed = f->devices > 0;
	return true;
}

enum vgpuctl_exit cmd_forget(struct vgpuctl *v, int argc, char **argv)
{
	struct forgotten f = {0};

	if (argc != 2) {
		say("forget takes one name or UUID");
		return EXIT_USAGE;
	}
	f.text = argv[1];
	domain_parse_uuid(f.text, f.uuid);
	if (!change(v, NULL, forget, &f))
		return EXIT_FAILED;
	if (f.several) {
		say("several remembered domains have the name \"%s\": give the "
		    "UUID (vgpuctl list --remembered)",
		    f.text);
		return EXIT_FAILED;
	}
	if (!f.devices) {
		say("no device of \"%s\" is remembered", f.text);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}
