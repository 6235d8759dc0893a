// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_grant.c - zeroed pages, and grants of pages with their directories
 *
 * Owns making and ending grants of buffers and of the arena. Runs in process
 * context and may sleep. It must never let a page be reused that the backend
 * may still have mapped, and never look at a grant's use before it ends it:
 * gnttab_try_end_foreign_access() does both in one step.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "vgpufront.h"

/* Grant references that stay free for the guest's disks and network. */
#define GREF_MARGIN	512

/* References are claimed in pieces: the kernel counts them in 16 bits. */
#define GREF_PIECE	16384U

void vgf_pages_free(struct page **pages, unsigned int nr)
{
	unsigned int i;

	if (!pages)
		return;
	for (i = 0; i < nr && pages[i]; i++) {
		__free_page(pages[i]);
		if (!(i % 1024))
			cond_resched();
	}
	kvfree(pages);
}

/*
 * Order 0 pages: any of them can be kept back or mapped alone. A program that
 * asks for too much gets -ENOMEM; others are not killed for it.
 */
struct page **vgf_pages_alloc(unsigned int nr)
{
	struct page **pages;
	unsigned int i;

	pages = kvcalloc(nr, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return NULL;
	for (i = 0; i < nr; i++) {
		if (!fatal_signal_pending(current))
			pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					      __GFP_RETRY_MAYFAIL |
					      __GFP_NOWARN);
		if (!pages[i]) {
			vgf_pages_free(pages, nr);
			return NULL;
		}
		if (!(i % 1024))
			cond_resched();
	}

	return pages;
}

static void free_refs(grant_ref_t *refs, unsigned int nr)
{
	while (nr--)
		gnttab_free_grant_reference(refs[nr]);
}

static int claim_refs(grant_ref_t *refs, unsigned int nr)
{
	unsigned int i = 0;
	grant_ref_t head;

	while (i < nr) {
		unsigned int end = i + min(nr - i, GREF_PIECE);

		if (gnttab_alloc_grant_references(end - i + GREF_MARGIN,
						  &head)) {
			free_refs(refs, i);
			return -ENOSPC;
		}
		while (i < end)
			refs[i++] = gnttab_claim_grant_reference(&head);
		gnttab_free_grant_references(head);
		cond_resched();
	}

	return 0;
}

static void grant_page(grant_ref_t ref, domid_t domid, struct page *page,
		       bool read_only)
{
	gnttab_grant_foreign_access_ref(ref, domid, xen_page_to_gfn(page),
					read_only);
}

/*
 * Claim references for nr pages and the directories that list them. Comes
 * before the pages are allocated: the size of the grant table is what bounds
 * how much memory programs can take.
 */
int vgf_grants_claim(struct vgf_grants *g, unsigned int nr)
{
	unsigned int nr_dirs = DIV_ROUND_UP(nr, VGPU_GREFS_PER_DIRECTORY);
	int err;

	g->refs = kvmalloc_array(nr + nr_dirs, sizeof(*g->refs),
				 GFP_KERNEL_ACCOUNT);
	if (!g->refs)
		return -ENOMEM;
	err = claim_refs(g->refs, nr + nr_dirs);
	if (err)
		goto free;
	g->dirs = vgf_pages_alloc(nr_dirs);
	if (!g->dirs) {
		free_refs(g->refs, nr + nr_dirs);
		err = -ENOMEM;
		goto free;
	}
	g->nr_pages = nr;
	g->nr_dirs = nr_dirs;

	return 0;

free:
	kvfree(g->refs);
	g->refs = NULL;

	return err;
}

/*
 * Grant the pages that were claimed for to domid, and read-only the directory
 * pages. The pages stay the caller's and must live until vgf_grants_end().
 */
void vgf_grants_make(struct vgf_dev *vgf, struct vgf_grants *g, domid_t domid,
		     struct page **pages, bool read_only)
{
	unsigned int i, nr = g->nr_pages, nr_dirs = g->nr_dirs;

	BUILD_BUG_ON(PAGE_SIZE != XEN_PAGE_SIZE);
	BUILD_BUG_ON(PAGE_SIZE != VGPUIF_PAGE_SIZE);

	g->pages = pages;
	atomic_add(nr + nr_dirs, &vgf->grants_in_use);

	for (i = 0; i < nr; i++) {
		struct page *page = g->dirs[i / VGPU_GREFS_PER_DIRECTORY];
		struct vgpu_page_directory *dir = page_address(page);

		dir->gref[i % VGPU_GREFS_PER_DIRECTORY] = g->refs[i];
		grant_page(g->refs[i], domid, pages[i], read_only);
	}
	for (i = 0; i < nr_dirs; i++) {
		struct vgpu_page_directory *dir = page_address(g->dirs[i]);

		if (i + 1 < nr_dirs)
			dir->next = g->refs[nr + i + 1];
		grant_page(g->refs[nr + i], domid, g->dirs[i], true);
	}
}

static void end_one(struct vgf_dev *vgf, grant_ref_t ref, struct page *page)
{
	atomic_dec(&vgf->grants_in_use);
	if (gnttab_try_end_foreign_access(ref))
		return;

	/*
	 * The backend holds on to it. The grant table code keeps the page with
	 * a reference of its own, and lets go of it only once the hypervisor
	 * says that the mapping is gone.
	 */
	atomic_inc(&vgf->grants_kept);
	pr_warn_ratelimited("%s: grant %u is still mapped, its page is kept back\n",
			    vgf->name, ref);
	get_page(page);
	gnttab_end_foreign_access(ref, page);
}

/* The backend has read the directories and needs them no more. */
void vgf_grants_end_dirs(struct vgf_dev *vgf, struct vgf_grants *g)
{
	unsigned int i;

	for (i = 0; i < g->nr_dirs; i++)
		end_one(vgf, g->refs[g->nr_pages + i], g->dirs[i]);
	vgf_pages_free(g->dirs, g->nr_dirs);
	g->dirs = NULL;
	g->nr_dirs = 0;
}

/* Ends all; harmless where nothing was granted, or not even claimed. */
void vgf_grants_end(struct vgf_dev *vgf, struct vgf_grants *g)
{
	unsigned int i;

	if (!g->pages) {
		free_refs(g->refs, g->nr_pages + g->nr_dirs);
		vgf_pages_free(g->dirs, g->nr_dirs);
		goto free;
	}
	vgf_grants_end_dirs(vgf, g);
	for (i = 0; i < g->nr_pages; i++) {
		end_one(vgf, g->refs[i], g->pages[i]);
		if (!(i % 1024))
			cond_resched();
	}
free:
	kvfree(g->refs);
	memset(g, 0, sizeof(*g));
}
