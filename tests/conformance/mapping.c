// SPDX-License-Identifier: MIT
/*
 * mapping.c - memory as grant mappings are: pages that are not adjacent in
 * memory, mapped one by one between two pages that fault, some read-only
 *
 * Runs on the test's one thread.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

/* Mappings of one process are limited: larger memory is mapped in larger runs. */
#define MOST_RUNS	2048

/* Of page `i`, the place in the file: runs of pages, back to front. */
static size_t file_page(const struct mapping *m, size_t run, size_t i)
{
	size_t runs = m->pages / run;

	return (runs - 1 - i / run) * run + i % run;
}

void mapping_pages(struct mapping *m, size_t bytes, int prot)
{
	size_t run = 1, i;

	m->pages = bytes / MAPPING_PAGE + 1;
	while (m->pages / run > MOST_RUNS)
		run *= 2;
	m->pages = (m->pages + run - 1) / run * run;
	m->fd = memfd_create("region", MFD_CLOEXEC);
	m->map = mmap(NULL, (m->pages + 2) * MAPPING_PAGE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->fd < 0 || m->map == MAP_FAILED ||
	    ftruncate(m->fd, (off_t)(m->pages * MAPPING_PAGE)))
		exit(255);
	m->base = m->map + MAPPING_PAGE;
	for (i = 0; i < m->pages; i += run)
		if (mmap(m->base + i * MAPPING_PAGE, run * MAPPING_PAGE, prot,
			 MAP_SHARED | MAP_FIXED, m->fd,
			 (off_t)(file_page(m, run, i) * MAPPING_PAGE)) == MAP_FAILED)
			exit(255);
}

/* Not through the mapping: as the other party that has the pages does. */
static void fill_pages(struct mapping *m, uint32_t seed)
{
	uint32_t words[MAPPING_PAGE / 4];
	struct operand page = { .bits = words, .count = MAPPING_PAGE / 4 };

	for (size_t i = 0; i < m->pages; i++) {
		operand_fill(&page, seed + (uint32_t)i);
		if (pwrite(m->fd, words, MAPPING_PAGE, (off_t)(i * MAPPING_PAGE)) != MAPPING_PAGE)
			exit(255);
	}
}

void mapping_make(struct run *r, struct mapping *m, uint64_t count,
		  bool read_only, uint32_t seed)
{
	mapping_pages(m, count * 4, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
	fill_pages(m, seed);
	m->region = vgpu_engine_region_add(r->eng, m->base, m->pages * MAPPING_PAGE,
					   read_only);
}

/* In the order of the contract: first the region goes, then the memory. */
void mapping_free(struct run *r, struct mapping *m)
{
	if (m->region)
		vgpu_engine_region_remove(r->eng, m->region);
	munmap(m->map, (m->pages + 2) * MAPPING_PAGE);
	close(m->fd);
}

void mapping_place(struct vgpu_job *job, unsigned int i,
		   const struct mapping *m, uint64_t count, unsigned int words)
{
	job->operand[i].host = m->base + m->pages * MAPPING_PAGE - (count + words) * 4;
	job->operand[i].count = count;
	job->operand[i].region = m->region;
}
