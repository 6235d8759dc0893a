// SPDX-License-Identifier: MIT
/*
 * memory.c - a guest's memory and grants (see memory.h)
 */
#include "memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool guest_open(struct guest_mem *m, uint32_t domid)
{
	struct nx_reply r;

	memset(m, 0, sizeof(*m));
	if (!nx_open_as(&m->conn, domid, false))
		return false;
	if (!nx_call(&m->conn, (struct nx_call){.op = NX_RAM}, NULL, &r, NULL,
		     &m->fd))
		return false;
	m->pages = r.val[0];
	m->base = mmap(NULL, m->pages * NX_PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, m->fd, 0);
	m->taken = calloc(m->pages, sizeof(*m->taken));
	if (m->base == MAP_FAILED || !m->taken)
		return false;
	/* So that 0 can say "none". */
	m->taken[0] = true;
	m->hint = 1;
	return true;
}

void guest_close(struct guest_mem *m)
{
	munmap(m->base, m->pages * NX_PAGE);
	free(m->taken);
	close(m->fd);
	nx_close(&m->conn);
}

static uint32_t find_run(const struct guest_mem *m, uint32_t from, uint32_t n)
{
	uint32_t run = 0;

	for (uint32_t i = from; i < m->pages; i++) {
		run = m->taken[i] ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return 0;
}

uint32_t guest_alloc(struct guest_mem *m, uint32_t n)
{
	uint32_t page = find_run(m, m->hint, n);

	if (!page)
		page = find_run(m, 1, n);
	if (!page)
		return 0;
	memset(m->taken + page, true, n);
	m->hint = page + n;
	return page;
}

/* Back to the holes of a sparse file: zeroes for whoever is next. */
void guest_free(struct guest_mem *m, uint32_t page, uint32_t n)
{
	memset(m->taken + page, false, n);
	if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      page * NX_PAGE, n * NX_PAGE))
		abort();
}

void *guest_view(const struct guest_mem *m, const uint32_t *pages, uint32_t n)
{
	char *view = mmap(NULL, n * NX_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (view == MAP_FAILED)
		abort();
	for (uint32_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n; run++)
			if (pages[i + run] != pages[i] + run)
				break;
		if (mmap(view + i * NX_PAGE, run * NX_PAGE,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
			 pages[i] * NX_PAGE) == MAP_FAILED)
			abort();
	}
	return view;
}

void guest_view_end(void *view, uint32_t n)
{
	munmap(view, n * NX_PAGE);
}

bool guest_grant(struct guest_mem *m, uint32_t to, bool read_only,
		 const uint32_t *pages, uint32_t n, uint32_t *refs)
{
	const struct nx_call call = {
		.op = NX_GRANT,
		.len = n * sizeof(*pages),
		.arg = {to, read_only},
	};
	void *data;

	if (!nx_call(&m->conn, call, pages, NULL, &data, NULL))
		return false;
	memcpy(refs, data, n * sizeof(*refs));
	free(data);
	return true;
}

bool guest_end_grant(struct guest_mem *m, const uint32_t *refs, uint32_t n)
{
	return nx_call(&m->conn,
		       (struct nx_call){.op = NX_END, .len = n * sizeof(*refs)},
		       refs, NULL, NULL, NULL);
}
