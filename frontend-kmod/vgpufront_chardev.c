// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_chardev.c - /dev/vgpufront: files, ioctls, poll, mmap
 *
 * Owns the copying of arguments from and to programs; the work is done in the
 * other files. Runs in system calls. It must not use vgf_dev.xbdev: the device
 * may be gone while its files are open.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "vgpufront.h"

/* misc_open() holds the lock that misc_deregister() takes: vgf is there. */
static int vgf_open(struct inode *inode, struct file *file)
{
	struct vgf_dev *vgf = container_of(file->private_data, struct vgf_dev,
					   misc);
	struct vgf_ctx *ctx = vgf_ctx_open(vgf);

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	file->private_data = ctx;

	return stream_open(inode, file);
}

static int vgf_close(struct inode *inode, struct file *file)
{
	vgf_ctx_close(file->private_data);

	return 0;
}

static __poll_t vgf_poll(struct file *file, poll_table *wait)
{
	struct vgf_ctx *ctx = file->private_data;
	struct vgf_dev *vgf = ctx->vgf;
	__poll_t mask = 0;

	poll_wait(file, &ctx->wq, wait);
	spin_lock_irq(&vgf->lock);
	if (ctx->nr_cqes)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (ctx->lost) {
		mask |= EPOLLERR | EPOLLHUP;
	} else if (vgf_may_put(vgf, NULL)) {
		mask |= EPOLLOUT | EPOLLWRNORM;
	} else {
		ctx->wants_room = true;
		vgf->room_wanted = true;
	}
	spin_unlock_irq(&vgf->lock);

	return mask;
}

static long ioctl_info(struct vgf_ctx *ctx, void __user *user)
{
	struct vgpufront_info *info;
	long err;

	info = kmalloc(sizeof(*info), GFP_KERNEL_ACCOUNT);
	if (!info)
		return -ENOMEM;
	err = vgf_info(ctx, info);
	if (!err && copy_to_user(user, info, sizeof(*info)))
		err = -EFAULT;
	kfree(info);

	return err;
}

static long ioctl_alloc(struct vgf_ctx *ctx, void __user *user)
{
	struct vgpufront_buffer_alloc arg;
	long err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	err = vgf_buffer_alloc(ctx, &arg);
	if (!err && copy_to_user(user, &arg, sizeof(arg))) {
		vgf_buffer_discard(ctx, arg.handle);
		err = -EFAULT;
	}

	return err;
}

static long ioctl_register(struct vgf_ctx *ctx, void __user *user)
{
	struct vgpufront_buffer_register arg;
	long err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	err = vgf_buffer_register(ctx, &arg);
	if (!err && copy_to_user(user, &arg, sizeof(arg))) {
		vgf_buffer_discard(ctx, arg.handle);
		err = -EFAULT;
	}

	return err;
}

static long ioctl_free(struct vgf_ctx *ctx, void __user *user)
{
	struct vgpufront_buffer_free arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.reserved)
		return -EINVAL;

	return vgf_buffer_free(ctx, arg.handle);
}

static long ioctl_enter(struct vgf_ctx *ctx, void __user *user, bool nonblock)
{
	struct vgpufront_enter __user *out = user;
	struct vgpufront_enter arg;
	long err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	err = vgf_enter(ctx, &arg, nonblock);
	if (!err && (put_user(arg.submitted, &out->submitted) ||
		     put_user(arg.completed, &out->completed)))
		err = -EFAULT;

	return err;
}

static long vgf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct vgf_ctx *ctx = file->private_data;

	switch (cmd) {
	case VGPUFRONT_IOC_INFO:
		return ioctl_info(ctx, user);
	case VGPUFRONT_IOC_BUFFER_ALLOC:
		return ioctl_alloc(ctx, user);
	case VGPUFRONT_IOC_BUFFER_REGISTER:
		return ioctl_register(ctx, user);
	case VGPUFRONT_IOC_BUFFER_FREE:
		return ioctl_free(ctx, user);
	case VGPUFRONT_IOC_ENTER:
		return ioctl_enter(ctx, user, file->f_flags & O_NONBLOCK);
	default:
		return -ENOTTY;
	}
}

/* Offset: the handle above VGF_MMAP_SHIFT, below it octets in the buffer. */
static int vgf_mmap(struct file *file, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 first = (offset & (BIT_ULL(VGF_MMAP_SHIFT) - 1)) >> PAGE_SHIFT;
	u64 handle = offset >> VGF_MMAP_SHIFT;
	unsigned long nr = vma_pages(vma);
	struct vgf_ctx *ctx = file->private_data;
	struct vgf_dev *vgf = ctx->vgf;
	struct vgf_buffer *buf = NULL;
	int err = -EINVAL;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	spin_lock_irq(&vgf->lock);
	if (ctx->lost)
		err = -ENODEV;
	else if (handle <= VGPUFRONT_MAX_BUFFERS)
		buf = vgf_buffer_find(ctx, handle);
	/* Pages of the module's own stay in place until the last reference. */
	if (buf && buf->state == VGF_BUF_MAPPED && !buf->mm &&
	    first + nr <= buf->nr_pages) {
		kref_get(&buf->kref);
		err = 0;
	}
	spin_unlock_irq(&vgf->lock);
	if (err)
		return err;

#ifdef VGF_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, VM_DONTEXPAND);
#else
	vma->vm_flags |= VM_DONTEXPAND;
#endif
	err = vm_insert_pages(vma, vma->vm_start, buf->pages + first, &nr);
	vgf_buffer_put(buf);

	return err;
}

const struct file_operations vgf_fops = {
	.owner = THIS_MODULE,
	.open = vgf_open,
	.release = vgf_close,
	.poll = vgf_poll,
	.unlocked_ioctl = vgf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vgf_mmap,
};
