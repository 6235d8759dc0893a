// SPDX-License-Identifier: MIT
/*
 * grants.c - directory chains and grant mappings (see grants.h)
 *
 * Run by the worker's thread. A directory page belongs to the guest, who may
 * write to it at any time: it is mapped, copied once, unmapped, and only then
 * looked at.
 */
#include "grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xentoollog.h>

#include "log.h"

/*
 * The library prints a line for each grant that Xen refuses, and the guest
 * picks the grants: by default that would let it fill the host's log.
 */
static void quiet_message(xentoollog_logger *logger, xentoollog_level level,
			  int errnoval, const char *context, const char *format,
			  va_list al)
{
	char text[256];

	(void)logger;
	(void)level;
	(void)context;
	if (log_get_level() < LOG_DEBUG)
		return;
	vsnprintf(text, sizeof(text), format, al);
	log_event(LOG_DEBUG, "gnttab", F_STR("msg", text),
		  F_STR("why", errnoval > 0 ? strerror(errnoval) : ""));
}

static void quiet_destroy(xentoollog_logger *logger)
{
	(void)logger;
}

static xentoollog_logger quiet_logger = {
	.vmessage = quiet_message,
	.destroy = quiet_destroy,
};

bool grants_open(struct grants *g, uint32_t domid)
{
	g->domid = domid;
	g->refs = calloc(BACK_MAX_BUFFER_PAGES, sizeof(*g->refs));
	if (!g->refs)
		return false;
	g->xgt = xengnttab_open(&quiet_logger, 0);
	if (!g->xgt) {
		free(g->refs);
		g->refs = NULL;
		return false;
	}
	return true;
}

void grants_close(struct grants *g)
{
	if (g->xgt)
		xengnttab_close(g->xgt);
	free(g->refs);
	g->xgt = NULL;
	g->refs = NULL;
}

void *grants_map(struct grants *g, uint32_t *refs, uint32_t nr)
{
	return xengnttab_map_domain_grant_refs(g->xgt, nr, g->domid, refs,
					       PROT_READ | PROT_WRITE);
}

void grants_unmap(struct grants *g, void *base, uint32_t nr)
{
	if (xengnttab_unmap(g->xgt, base, nr))
		log_event(LOG_ERROR, "unmap", F_NUM("pages", nr),
			  F_STR("why", strerror(errno)));
}

/* One page of the chain, copied; false where Xen refused the grant. */
static bool read_directory(struct grants *g, uint32_t ref,
			   struct vgpu_page_directory *copy)
{
	void *page = xengnttab_map_domain_grant_refs(g->xgt, 1, g->domid, &ref,
						     PROT_READ);

	if (!page)
		return false;
	memcpy(copy, page, sizeof(*copy));
	/* The copy is complete before anything is decided on it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	grants_unmap(g, page, 1);
	return true;
}

/* The references of nr pages, into g->refs; a chain has no more pages. */
static enum vgpu_status walk(struct grants *g, uint32_t ref, uint32_t nr)
{
	struct vgpu_page_directory dir;
	uint32_t done = 0;

	while (done < nr) {
		uint32_t n = nr - done;

		if (n > VGPU_GREFS_PER_DIRECTORY)
			n = VGPU_GREFS_PER_DIRECTORY;
		if (!read_directory(g, ref, &dir))
			return VGPU_RSP_GRANT;
		memcpy(g->refs + done, dir.gref, n * sizeof(*g->refs));
		done += n;
		ref = dir.next;
		if ((ref == 0) != (done == nr))
			return VGPU_RSP_INVALID;
	}
	return VGPU_RSP_OK;
}

enum vgpu_status grants_map_directory(struct grants *g, uint32_t first,
				      uint32_t nr, bool read_only, void **base)
{
	enum vgpu_status status;

	if (!nr || nr > BACK_MAX_BUFFER_PAGES)
		return VGPU_RSP_INVALID;
	status = walk(g, first, nr);
	if (status)
		return status;
	*base = xengnttab_map_domain_grant_refs(
		g->xgt, nr, g->domid, g->refs,
		read_only ? PROT_READ : PROT_READ | PROT_WRITE);
	return *base ? VGPU_RSP_OK : VGPU_RSP_GRANT;
}

/* Second, fourth, ..., first, third, ... */
static void scatter(uint32_t *to, const uint32_t *refs, uint32_t nr)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < nr; i += 2)
		to[n++] = refs[i];
	for (uint32_t i = 0; i < nr; i += 2)
		to[n++] = refs[i];
}

void *grants_map_scattered(struct grants *g, uint32_t nr)
{
	uint32_t refs[VGPUIF_MAX_ARENA_PAGES];

	if (!nr || nr > VGPUIF_MAX_ARENA_PAGES)
		return NULL;
	scatter(refs, g->refs, nr);
	return grants_map(g, refs, nr);
}
