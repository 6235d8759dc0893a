// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_pin.c - memory of the caller, pinned where it lies
 *
 * Owns the pages array and the RLIMIT_MEMLOCK account of registered buffers.
 * Runs in process context; vgf_unpin() mostly not in the process that pinned.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/version.h>
#include "vgpufront.h"

/* Pages pinned between two looks at pending signals. */
#define PIN_PIECE	1024U

/*
 * As RDMA accounts its pins: mm->pinned_vm counts what RLIMIT_MEMLOCK bounds,
 * without taking mmap_lock on the way out.
 */
static int charge(struct mm_struct *mm, unsigned int nr)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	u64 pinned = atomic64_add_return(nr, &mm->pinned_vm);

	if (pinned > limit && !capable(CAP_IPC_LOCK)) {
		atomic64_sub(nr, &mm->pinned_vm);
		return -ENOMEM;
	}

	return 0;
}

static int pin_pages(u64 addr, unsigned int nr, unsigned int flags,
		     struct page **pages)
{
	unsigned int done = 0;
	int n;

	while (done < nr) {
		n = pin_user_pages_fast(addr + (u64)done * PAGE_SIZE,
					min(nr - done, PIN_PIECE), flags,
					pages + done);
		if (n > 0)
			done += n;
		if (n <= 0 || (done < nr && signal_pending(current))) {
			unpin_user_pages(pages, done);
			if (n > 0)
				return -EINTR;
			return n ? n : -EFAULT;
		}
		cond_resched();
	}

	return 0;
}

/*
 * Before 6.2 a long-term read pin of a private page could keep the page that
 * the next write replaces (the zero page, or one shared with a child), and the
 * backend would read what was there before. There the pin must break the
 * sharing as a write does; a shared mapping that is not writable has none.
 */
static int pin_read_only(u64 addr, unsigned int nr, struct page **pages)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	int err = pin_pages(addr, nr, FOLL_LONGTERM | FOLL_WRITE | FOLL_FORCE,
			    pages);

	if (err != -EFAULT)
		return err;
#endif
	return pin_pages(addr, nr, FOLL_LONGTERM, pages);
}

/* addr is the start of the first page; nr_pages and read_only are set. */
int vgf_pin(struct vgf_buffer *buf, u64 addr)
{
	struct mm_struct *mm = current->mm;
	struct page **pages;
	int err;

	if ((unsigned long)addr != addr)
		return -EFAULT;
	pages = kvcalloc(buf->nr_pages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	err = charge(mm, buf->nr_pages);
	if (err)
		goto free;

	if (buf->read_only)
		err = pin_read_only(addr, buf->nr_pages, pages);
	else
		err = pin_pages(addr, buf->nr_pages, FOLL_LONGTERM | FOLL_WRITE,
				pages);
	if (err)
		goto uncharge;
	mmgrab(mm);
	buf->mm = mm;
	buf->pages = pages;

	return 0;

uncharge:
	atomic64_sub(buf->nr_pages, &mm->pinned_vm);
free:
	kvfree(pages);

	return err;
}

/* No grant of the pages is left, or the grant table holds them itself. */
void vgf_unpin(struct vgf_buffer *buf)
{
	unpin_user_pages_dirty_lock(buf->pages, buf->nr_pages, !buf->read_only);
	atomic64_sub(buf->nr_pages, &buf->mm->pinned_vm);
	mmdrop(buf->mm);
	buf->mm = NULL;
	kvfree(buf->pages);
	buf->pages = NULL;
}
