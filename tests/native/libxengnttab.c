// SPDX-License-Identifier: MIT
/*
 * libxengnttab.c - the libxengnttab calls of the backend, over the broker
 *
 * A mapping is made of pieces of the other domain's memfd, one mmap(2) for each
 * run of pages that follow each other. As with gntdev, an unmap must name a
 * mapping exactly, and what is still mapped when the handle is closed stays
 * until the process ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xengnttab.h>

#include "client.h"

struct range {
	struct range *next;
	void *base;
	uint32_t pages;
	uint64_t id;
};

/* @kept: the next one that was closed with something mapped */
struct xengntdev_handle {
	struct nx_conn conn;
	struct range *ranges;
	xengnttab_handle *kept;
};

static xengnttab_handle *kept;

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger,
				 unsigned int flags)
{
	xengnttab_handle *h = calloc(1, sizeof(*h));

	(void)logger;
	(void)flags;
	if (h && nx_open(&h->conn, false))
		return h;
	free(h);
	return NULL;
}

int xengnttab_close(xengnttab_handle *h)
{
	struct nx_reply r;

	/* The broker keeps the pages of an open connection mapped. */
	if (h->ranges) {
		h->kept = kept;
		kept = h;
		return 0;
	}
	if (!nx_call(&h->conn, (struct nx_call){.op = NX_LEFT}, NULL, &r, NULL,
		     NULL) ||
	    r.val[0])
		abort();
	nx_close(&h->conn);
	free(h);
	return 0;
}

static void *map_pages(int fd, const uint32_t *pages, uint32_t n, int prot)
{
	char *base = mmap(NULL, n * NX_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	for (uint32_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n; run++)
			if (pages[i + run] != pages[i] + run)
				break;
		if (mmap(base + i * NX_PAGE, run * NX_PAGE, prot,
			 MAP_SHARED | MAP_FIXED, fd,
			 pages[i] * NX_PAGE) != MAP_FAILED)
			continue;
		munmap(base, n * NX_PAGE);
		return NULL;
	}
	return base;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *h, uint32_t count,
				      uint32_t domid, uint32_t *refs, int prot)
{
	const struct nx_call call = {
		.op = NX_MAP,
		.len = count * sizeof(*refs),
		.arg = {domid, prot & PROT_WRITE},
	};
	struct range *range = calloc(1, sizeof(*range));
	struct nx_reply r;
	void *pages;
	int fd;

	if (!range || !nx_call(&h->conn, call, refs, &r, &pages, &fd)) {
		free(range);
		return NULL;
	}
	range->base = map_pages(fd, pages, count, prot);
	range->pages = count;
	range->id = r.val[0];
	close(fd);
	free(pages);
	/* Out of mappings: nothing that uses this goes on from there. */
	if (!range->base)
		abort();
	range->next = h->ranges;
	h->ranges = range;
	return range->base;
}

int xengnttab_unmap(xengnttab_handle *h, void *base, uint32_t count)
{
	for (struct range **link = &h->ranges; *link; link = &(*link)->next) {
		struct range *range = *link;

		if (range->base != base)
			continue;
		if (range->pages != count)
			break;
		munmap(base, count * NX_PAGE);
		*link = range->next;
		if (!nx_call(&h->conn,
			     (struct nx_call){.op = NX_UNMAP,
					      .arg = {range->id}},
			     NULL, NULL, NULL, NULL))
			abort();
		free(range);
		return 0;
	}
	errno = EINVAL;
	return -1;
}
