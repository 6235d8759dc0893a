/* SPDX-License-Identifier: MIT */
/*
 * check.c - walks xenstore and holds every vgpu device against the schema
 *
 *   /local/domain/<b>/backend/vgpu/<f>/<n>  ->  check_device(b, f, n)
 *   /local/domain/<f>/device/vgpu/<n>       ->  has it a backend directory?
 *
 * One thread, one transaction, so that the two directories of a device are of
 * one moment. Must never write. A guest owns the names and values below its
 * own directory: they go through vgpu_show() before they are printed.
 */
#include "check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/vgpuif.h>

#include "rules.h"
#include "values.h"
#include "vgpu_nodes.h"

#define MAX_RING_REFS (1u << VGPUIF_MAX_RING_PAGE_ORDER)
#define PATH_LEN 128

struct check {
	struct xs_handle *h;
	xs_transaction_t t;
	FILE *out;
	int findings;
};

/* One directory of a device. */
struct half {
	enum schema_side side;
	char path[PATH_LEN];
	bool there;
	unsigned int owner;
	unsigned int reader;
	unsigned int state; /* 0: missing or malformed */
};

struct device {
	struct half half[SCHEMA_SIDES];
	unsigned int ring_refs; /* how many ring-ref<N> are there */
	uint64_t ring_ref[MAX_RING_REFS];
	bool have_ring_ref[MAX_RING_REFS];
};

static void __attribute__((format(printf, 3, 4)))
finding(struct check *c, const char *path, const char *fmt, ...)
{
	va_list ap;

	c->findings++;
	fprintf(c->out, "%s: ", path);
	va_start(ap, fmt);
	vfprintf(c->out, fmt, ap);
	va_end(ap);
	fputc('\n', c->out);
}

/* A directory's entries; an unreadable or missing one is empty. */
static char **list(struct check *c, const char *path, unsigned int *n)
{
	char **names = xs_directory(c->h, c->t, path, n);

	if (!names)
		*n = 0;
	return names;
}

/* node's value (malloced) or NULL */
static char *read_node(struct check *c, const struct half *half,
		       const char *node, unsigned int *len)
{
	char path[2 * PATH_LEN];

	if (snprintf(path, sizeof(path), "%s/%s", half->path, node) >=
	    (int)sizeof(path))
		return NULL;
	return xs_read(c->h, c->t, path, len);
}

/* The number in a node, or fallback where there is none. */
static uint64_t read_uint(struct check *c, const struct half *half,
			  const char *node, uint64_t fallback)
{
	unsigned int len;
	char *s = read_node(c, half, node, &len);
	uint64_t v;

	if (!s || !vgpu_parse_uint(s, len, UINT64_MAX, &v))
		v = fallback;
	free(s);
	return v;
}

static bool parse_id(const char *s, uint64_t max, unsigned int *id)
{
	uint64_t v;

	if (!vgpu_parse_uint(s, strlen(s), max, &v))
		return false;
	*id = v;
	return true;
}

/*
 * Permissions: the first entry is the owner, with what all others may do; each
 * further entry is one domain.
 */
static void check_perms(struct check *c, const struct half *half,
			const char *path, const char *shown)
{
	struct xs_permissions *perm;
	bool reads = false;
	unsigned int n;

	perm = xs_get_permissions(c->h, c->t, path, &n);
	if (!perm || !n) {
		finding(c, shown, "permissions cannot be read");
		free(perm);
		return;
	}
	if (perm[0].id != half->owner)
		finding(c, shown, "owned by domain %u, not by domain %u",
			perm[0].id, half->owner);
	if (perm[0].perms != XS_PERM_NONE)
		finding(c, shown, "open to all domains");
	for (unsigned int i = 1; i < n; i++) {
		if (perm[i].id == half->owner)
			continue;
		if (perm[i].id != half->reader)
			finding(c, shown, "open to domain %u", perm[i].id);
		else if (perm[i].perms & XS_PERM_WRITE)
			finding(c, shown, "writable by domain %u", perm[i].id);
		else if (perm[i].perms & XS_PERM_READ)
			reads = true;
	}
	if (!reads && half->reader != half->owner)
		finding(c, shown, "not readable by domain %u", half->reader);
	free(perm);
}

static void note_ring_ref(struct check *c, struct device *d, const char *path,
			  unsigned int index, uint64_t ref)
{
	if (index >= MAX_RING_REFS) {
		finding(c, path, "no ring has that many pages");
		return;
	}
	for (unsigned int i = 0; i < MAX_RING_REFS; i++)
		if (d->have_ring_ref[i] && d->ring_ref[i] == ref)
			finding(c, path, "same grant as ring page %u", i);
	d->have_ring_ref[index] = true;
	d->ring_ref[index] = ref;
	d->ring_refs++;
}

static void check_node(struct check *c, struct device *d,
		       const struct half *half, const char *name)
{
	const struct half *peer = &d->half[!half->side];
	char shown_name[VGPU_SHOW_LEN], shown_value[VGPU_SHOW_LEN];
	char path[2 * PATH_LEN], shown[PATH_LEN + VGPU_SHOW_LEN];
	const struct schema_node *node;
	unsigned int index, len, below;
	const char *wrong;
	char *value;
	uint64_t v;

	snprintf(shown, sizeof(shown), "%s/%s", half->path,
		 vgpu_show(shown_name, name, strlen(name)));
	node = schema_find(half->side, name, &index);
	if (!node) {
		finding(c, shown, "unknown node");
		return;
	}
	if (schema_holds(&node->absent, d->half[SCHEMA_BACKEND].state,
			 d->half[SCHEMA_FRONTEND].state))
		finding(c, shown,
			node->absent.backend == SCHEMA_ALWAYS ?
				"reserved for a later protocol version" :
				"must not exist in this state");
	/* schema_find() knows the name, so it is short. */
	snprintf(path, sizeof(path), "%s/%s", half->path, name);
	check_perms(c, half, path, shown);
	if (node->type == SCHEMA_DIRECTORY)
		return;
	free(list(c, path, &below));
	if (below)
		finding(c, shown, "%u unknown nodes below it", below);
	value = xs_read(c->h, c->t, path, &len);
	if (!value) {
		finding(c, shown, "cannot be read");
		return;
	}
	wrong = schema_value_error(node, value, len, peer->path);
	if (wrong)
		finding(c, shown, "\"%s\" is not %s%s",
			vgpu_show(shown_value, value, len),
			node->type == SCHEMA_WORD || node->type == SCHEMA_LIST ?
				"of: " :
				"",
			wrong);
	else if (half->side == SCHEMA_FRONTEND && node->numbered &&
		 vgpu_parse_uint(value, len, UINT32_MAX, &v))
		note_ring_ref(c, d, shown, index, v);
	free(value);
}

/* Are the names that the present pair of states demands among those there? */
static void check_required(struct check *c, const struct device *d,
			   const struct half *half, char *const *names,
			   unsigned int n)
{
	unsigned int bs = d->half[SCHEMA_BACKEND].state;
	unsigned int fs = d->half[SCHEMA_FRONTEND].state;

	for (size_t i = 0; i < schema_node_count; i++) {
		const struct schema_node *node = &schema_node_table[i];
		bool there = false;

		if (node->side != half->side ||
		    !schema_holds(&node->required, bs, fs))
			continue;
		for (unsigned int k = 0; k < n; k++)
			there = there || !strcmp(names[k], node->name);
		if (!there)
			finding(c, half->path,
				"%s is missing (backend %s, frontend %s)",
				node->name, vgpu_state_name(bs),
				vgpu_state_name(fs));
	}
}

static void check_half(struct check *c, struct device *d, struct half *half)
{
	unsigned int n;
	char **names = list(c, half->path, &n);

	check_perms(c, half, half->path, half->path);
	for (unsigned int i = 0; i < n; i++)
		check_node(c, d, half, names[i]);
	check_required(c, d, half, names, n);
	free(names);
}

/* The nodes that must agree with each other while the frontend is connected. */
static void check_ring(struct check *c, const struct device *d)
{
	const struct half *front = &d->half[SCHEMA_FRONTEND];
	uint64_t order = read_uint(c, front, VGPU_NODE_RING_PAGE_ORDER, 0);
	bool single = read_uint(c, front, VGPU_NODE_RING_REF, 0);
	unsigned int pages;

	if (order > VGPUIF_MAX_RING_PAGE_ORDER)
		return;
	pages = order ? 1u << order : 0;
	if (single != !order)
		finding(c, front->path,
			"ring-ref is %s with a ring of %u pages",
			single ? "there" : "missing", 1u << order);
	for (unsigned int i = 0; i < MAX_RING_REFS; i++)
		if (d->have_ring_ref[i] != (i < pages))
			finding(c, front->path,
				"ring-ref%u is %s with a ring of %u pages", i,
				d->have_ring_ref[i] ? "there" : "missing",
				1u << order);
}

static void check_at_most(struct check *c, const struct device *d,
			  const char *node, const char *limit)
{
	const struct half *front = &d->half[SCHEMA_FRONTEND];
	uint64_t v = read_uint(c, front, node, 0);
	uint64_t max = read_uint(
		c, &d->half[SCHEMA_BACKEND], limit,
		!strcmp(node, VGPU_NODE_MULTI_QUEUE_NUM_QUEUES) ? 1 :
								  UINT64_MAX);

	if (v > max)
		finding(c, front->path,
			"%s is %llu, more than the backend's %s %llu", node,
			(unsigned long long)v, limit, (unsigned long long)max);
}

static void check_version(struct check *c, const struct device *d)
{
	const struct half *front = &d->half[SCHEMA_FRONTEND];
	unsigned int len, offered_len;
	char *version = read_node(c, front, VGPU_NODE_VERSION, &len);
	char *offered = read_node(c, &d->half[SCHEMA_BACKEND],
				  VGPU_NODE_VERSIONS, &offered_len);
	char shown[VGPU_SHOW_LEN];
	bool found = false;
	char *save, *item;

	if (version && offered) {
		for (item = strtok_r(offered, VGPUIF_LIST_SEPARATOR, &save);
		     item; item = strtok_r(NULL, VGPUIF_LIST_SEPARATOR, &save))
			found = found || !strcmp(item, version);
		if (!found)
			finding(c, front->path,
				"version \"%s\" is not one of the backend's",
				vgpu_show(shown, version, len));
	}
	free(version);
	free(offered);
}

static void check_pair(struct check *c, const struct device *d,
		       unsigned int back, unsigned int guest)
{
	const struct half *b = &d->half[SCHEMA_BACKEND];
	const struct half *f = &d->half[SCHEMA_FRONTEND];
	uint64_t id;

	id = read_uint(c, b, VGPU_NODE_FRONTEND_ID, guest);
	if (id != guest)
		finding(c, b->path, "frontend-id is %llu, the path says %u",
			(unsigned long long)id, guest);
	id = read_uint(c, f, VGPU_NODE_BACKEND_ID, back);
	if (id != back)
		finding(c, f->path, "backend-id is %llu, the backend is %u",
			(unsigned long long)id, back);
	check_at_most(c, d, VGPU_NODE_MULTI_QUEUE_NUM_QUEUES,
		      VGPU_NODE_MULTI_QUEUE_MAX_QUEUES);
	/* 3 Initialised, 4 Connected: the frontend's choice stands. */
	if (f->state != 3 && f->state != 4)
		return;
	check_ring(c, d);
	check_at_most(c, d, VGPU_NODE_RING_PAGE_ORDER,
		      VGPU_NODE_MAX_RING_PAGE_ORDER);
	check_at_most(c, d, VGPU_NODE_ARENA_PAGES, VGPU_NODE_MAX_ARENA_PAGES);
	check_version(c, d);
}

static bool exists(struct check *c, const char *path)
{
	unsigned int n;
	char **names = xs_directory(c->h, c->t, path, &n);
	bool there = names;

	free(names);
	return there;
}

static void init_half(struct check *c, struct half *half, enum schema_side side,
		      unsigned int owner, unsigned int reader)
{
	uint64_t state;

	half->side = side;
	half->owner = owner;
	half->reader = reader;
	half->there = exists(c, half->path);
	state = read_uint(c, half, VGPU_NODE_STATE, 0);
	half->state = state <= 6 ? state : 0;
}

static void check_device(struct check *c, unsigned int back, unsigned int guest,
			 unsigned int devid)
{
	struct device d = {0};
	struct half *b = &d.half[SCHEMA_BACKEND];
	struct half *f = &d.half[SCHEMA_FRONTEND];
	char home[PATH_LEN];

	snprintf(b->path, PATH_LEN, "/local/domain/%u/backend/vgpu/%u/%u", back,
		 guest, devid);
	snprintf(f->path, PATH_LEN, "/local/domain/%u/device/vgpu/%u", guest,
		 devid);
	snprintf(home, PATH_LEN, "/local/domain/%u", guest);
	init_half(c, b, SCHEMA_BACKEND, back, guest);
	init_half(c, f, SCHEMA_FRONTEND, guest, back);
	check_half(c, &d, b);
	if (!exists(c, home)) {
		finding(c, b->path, "left behind: domain %u does not exist",
			guest);
		return;
	}
	if (!f->there) {
		finding(c, f->path,
			"missing, but its backend directory is there");
		return;
	}
	check_half(c, &d, f);
	check_pair(c, &d, back, guest);
}

/* All of /local/domain/<back>/backend/vgpu */
static unsigned int check_backends(struct check *c, unsigned int back)
{
	unsigned int guests, devs, guest, devid, seen = 0;
	char path[PATH_LEN], shown[VGPU_SHOW_LEN];
	char **guest_names, **dev_names;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu", back);
	guest_names = list(c, path, &guests);
	for (unsigned int i = 0; i < guests; i++) {
		if (!parse_id(guest_names[i], DOMID_FIRST_RESERVED - 1,
			      &guest)) {
			finding(c, path, "\"%s\" is not a domain id",
				vgpu_show(shown, guest_names[i],
					  strlen(guest_names[i])));
			continue;
		}
		snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu/%u",
			 back, guest);
		dev_names = list(c, path, &devs);
		if (!devs)
			finding(c, path, "left behind: no device in it");
		for (unsigned int k = 0; k < devs; k++) {
			if (!parse_id(dev_names[k], UINT16_MAX, &devid)) {
				finding(c, path, "\"%s\" is not a device id",
					vgpu_show(shown, dev_names[k],
						  strlen(dev_names[k])));
				continue;
			}
			check_device(c, back, guest, devid);
			seen++;
		}
		free(dev_names);
		snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu",
			 back);
	}
	free(guest_names);
	return seen;
}

/* Each of /local/domain/<guest>/device/vgpu must have a backend directory. */
static void check_orphans(struct check *c, unsigned int guest)
{
	char path[PATH_LEN], back[PATH_LEN], shown[VGPU_SHOW_LEN];
	unsigned int n, devid;
	struct half f = {0};
	char **names;

	snprintf(path, sizeof(path), "/local/domain/%u/device/vgpu", guest);
	names = list(c, path, &n);
	for (unsigned int i = 0; i < n; i++) {
		if (!parse_id(names[i], UINT16_MAX, &devid)) {
			finding(c, path, "\"%s\" is not a device id",
				vgpu_show(shown, names[i], strlen(names[i])));
			continue;
		}
		snprintf(f.path, sizeof(f.path),
			 "/local/domain/%u/device/vgpu/%u", guest, devid);
		snprintf(back, sizeof(back),
			 "/local/domain/%llu/backend/vgpu/%u/%u",
			 (unsigned long long)read_uint(c, &f,
						       VGPU_NODE_BACKEND_ID, 0),
			 guest, devid);
		if (!exists(c, back))
			finding(c, f.path, "no backend directory %s", back);
	}
	free(names);
}

int schema_check(struct xs_handle *h, xs_transaction_t t, FILE *out,
		 unsigned int *devices)
{
	struct check c = {.h = h, .t = t, .out = out};
	unsigned int n, domid;
	char **doms;

	*devices = 0;
	doms = xs_directory(h, t, "/local/domain", &n);
	if (!doms)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		if (!parse_id(doms[i], DOMID_FIRST_RESERVED - 1, &domid))
			continue;
		*devices += check_backends(&c, domid);
		check_orphans(&c, domid);
	}
	free(doms);
	return c.findings;
}
