// SPDX-License-Identifier: MIT
/*
 * broker_grants.c - the hypervisor's half: domains, their memory, grants
 *
 * A domain's memory is one memfd, and a page number its offset. Who maps a
 * grant gets a descriptor of it: one that cannot write, where the grant is
 * read-only, so that not even mprotect(2) makes more of it. A domain that is
 * destroyed while pages of it are mapped stays, dying, as in Xen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"

/* Only what is touched takes memory. */
#define RAM_PAGES (1u << 18)
/* gntdev.limit: grants per mapping */
#define MAP_LIMIT 65536

/* @maps: how often it is mapped at present */
struct grant {
	uint32_t page;
	uint32_t to;
	uint32_t maps;
	bool used;
	bool read_only;
};

/* @next_ref: where the search for a free one goes on: reused as late as can be */
struct domain {
	uint32_t id;
	bool used;
	bool dying;
	int rw;
	int ro;
	struct grant *grant;
	uint32_t max_grants;
	uint32_t next_ref;
	uint32_t mapped;
};

struct mapping {
	struct mapping *next;
	struct conn *conn;
	struct domain *dom;
	uint32_t id;
	uint32_t n;
	uint32_t *refs;
};

static struct domain domains[NX_MAX_DOMAINS];
static struct mapping *mappings;
static uint32_t last_mapping;

static struct domain *find(uint32_t domid, bool dying)
{
	for (int i = 0; i < NX_MAX_DOMAINS; i++)
		if (domains[i].used && domains[i].dying == dying &&
		    domains[i].id == domid)
			return &domains[i];
	return NULL;
}

bool domain_exists(uint32_t domid)
{
	return find(domid, false);
}

int domain_slot(uint32_t domid)
{
	struct domain *d = find(domid, false);

	return d ? (int)(d - domains) : -1;
}

static int create(uint32_t domid, uint32_t max_grants)
{
	struct domain *d = domains;
	char path[64];

	if (domain_exists(domid))
		return EEXIST;
	while (d < domains + NX_MAX_DOMAINS && d->used)
		d++;
	if (d == domains + NX_MAX_DOMAINS)
		return ENOMEM;
	memset(d, 0, sizeof(*d));
	d->used = true;
	d->id = domid;
	d->rw = memfd_create("domain", MFD_CLOEXEC);
	if (d->rw < 0 || ftruncate(d->rw, RAM_PAGES * NX_PAGE))
		broker_die("memory of a domain");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->rw);
	d->ro = open(path, O_RDONLY | O_CLOEXEC);
	if (d->ro < 0)
		broker_die(path);
	d->max_grants = max_grants;
	d->grant = broker_alloc(max_grants, sizeof(*d->grant));
	d->next_ref = NX_FIRST_REF;
	store_domain_made(domid);
	store_special("@introduceDomain");
	return 0;
}

/* The last mapping of a dying domain is what keeps it. */
static void maybe_free(struct domain *d)
{
	if (!d->dying || d->mapped)
		return;
	close(d->rw);
	close(d->ro);
	free(d->grant);
	d->used = false;
}

static int destroy(uint32_t domid)
{
	struct domain *d = find(domid, false);

	if (!d)
		return ESRCH;
	port_domain_gone(d - domains);
	d->dying = true;
	maybe_free(d);
	store_special("@releaseDomain");
	return 0;
}

static int count(struct call *c)
{
	struct nx_count *out = broker_alloc(1, sizeof(*out));
	uint32_t domid = c->h.arg[0];
	struct domain *d = find(domid, false);

	call_data(c, out, sizeof(*out));
	if (d)
		port_count(d - domains, out);
	else
		d = find(domid, true);
	if (!d)
		return 0;
	out->zombie = d->dying;
	out->mapped = d->mapped;
	for (uint32_t i = 0; i < d->max_grants; i++)
		out->grants += d->grant[i].used;
	for (struct mapping *m = mappings; m; m = m->next)
		if (m->dom == d)
			out->mapper = m->conn->pid;
	return 0;
}

int domain_call(struct call *c)
{
	switch (c->h.op) {
	case NX_CREATE:
		return create(c->h.arg[0], c->h.arg[1]);
	case NX_DESTROY:
		return destroy(c->h.arg[0]);
	case NX_COUNT:
		return count(c);
	case NX_CONFLICT:
		store_conflict(c->h.arg[0]);
		return 0;
	case NX_XS_DOMAIN:
		c->r.val[0] = domain_exists(c->h.arg[0]);
		return 0;
	default:
		return ENOSYS;
	}
}

static struct grant *lookup(struct domain *d, uint32_t ref)
{
	return ref < d->max_grants && d->grant[ref].used ? &d->grant[ref] :
							   NULL;
}

static uint32_t free_ref(struct domain *d)
{
	for (uint32_t i = NX_FIRST_REF; i < d->max_grants; i++) {
		uint32_t ref = d->next_ref;

		if (++d->next_ref >= d->max_grants)
			d->next_ref = NX_FIRST_REF;
		if (!d->grant[ref].used)
			return ref;
	}
	return 0;
}

static int end(struct call *c, struct domain *d, const uint32_t *refs,
	       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct grant *g = lookup(d, refs[i]);

		if (!g)
			return ENOENT;
		if (g->maps)
			return EBUSY;
	}
	for (uint32_t i = 0; i < n; i++)
		d->grant[refs[i]].used = false;
	c->r.val[0] = n;
	return 0;
}

static int give(struct call *c, struct domain *d, const uint32_t *pages,
		uint32_t n)
{
	uint32_t *refs = broker_alloc(n, sizeof(*refs));

	call_data(c, refs, n * sizeof(*refs));
	for (uint32_t i = 0; i < n; i++) {
		refs[i] = pages[i] < RAM_PAGES ? free_ref(d) : 0;
		if (!refs[i]) {
			while (i--)
				d->grant[refs[i]].used = false;
			return ENOSPC;
		}
		d->grant[refs[i]] = (struct grant){
			.page = pages[i],
			.to = c->h.arg[0],
			.read_only = c->h.arg[1],
			.used = true,
		};
	}
	return 0;
}

/* All or nothing, as gntdev does it; Xen says no in one way only. */
static int map(struct call *c, const uint32_t *refs, uint32_t n)
{
	struct domain *d = find(c->h.arg[0], false);
	bool writable = c->h.arg[1];
	struct mapping *m;
	uint32_t *pages;

	if (!d || !n || n > MAP_LIMIT)
		return EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		struct grant *g = lookup(d, refs[i]);

		if (!g || g->to != c->conn->domid || (writable && g->read_only))
			return EINVAL;
	}
	m = broker_alloc(1, sizeof(*m));
	m->conn = c->conn;
	m->dom = d;
	m->id = ++last_mapping;
	m->n = n;
	m->refs = broker_alloc(n, sizeof(*refs));
	memcpy(m->refs, refs, n * sizeof(*refs));
	m->next = mappings;
	mappings = m;
	pages = broker_alloc(n, sizeof(*pages));
	call_data(c, pages, n * sizeof(*pages));
	for (uint32_t i = 0; i < n; i++) {
		pages[i] = d->grant[refs[i]].page;
		d->grant[refs[i]].maps++;
	}
	d->mapped += n;
	c->r.val[0] = m->id;
	c->fd[c->fds++] = writable ? d->rw : d->ro;
	return 0;
}

static void unmap(struct mapping **link)
{
	struct mapping *m = *link;

	*link = m->next;
	for (uint32_t i = 0; i < m->n; i++)
		m->dom->grant[m->refs[i]].maps--;
	m->dom->mapped -= m->n;
	maybe_free(m->dom);
	free(m->refs);
	free(m);
}

int grant_call(struct call *c)
{
	struct domain *d = find(c->conn->domid, false);
	uint32_t *words = (uint32_t *)c->payload;
	uint32_t n = c->h.len / sizeof(*words);

	switch (c->h.op) {
	case NX_RAM:
		c->r.val[0] = RAM_PAGES;
		c->fd[c->fds++] = d->rw;
		return 0;
	case NX_GRANT:
		return give(c, d, words, n);
	case NX_END:
		return end(c, d, words, n);
	case NX_MAP:
		return map(c, words, n);
	case NX_UNMAP:
		for (struct mapping **l = &mappings; *l; l = &(*l)->next) {
			if ((*l)->conn != c->conn || (*l)->id != c->h.arg[0])
				continue;
			unmap(l);
			return 0;
		}
		return EINVAL;
	case NX_LEFT:
		for (struct mapping *m = mappings; m; m = m->next)
			c->r.val[0] += m->conn == c->conn;
		return 0;
	default:
		return ENOSYS;
	}
}

void grant_conn_gone(struct conn *conn)
{
	for (struct mapping **link = &mappings; *link;) {
		if ((*link)->conn == conn)
			unmap(link);
		else
			link = &(*link)->next;
	}
}
