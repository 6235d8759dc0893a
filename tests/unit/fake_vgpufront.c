// SPDX-License-Identifier: MIT
/*
 * fake_vgpufront.c - a double of the module vgpufront, see fake_vgpufront.h
 *
 * Owns the one device, which may be open once at a time. The program's threads
 * are in the __wrap_ functions, the backend's thread in backend(); fake.lock
 * guards all. Breaks of the ABI by the library end in abort().
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <uapi/vgpufront.h>

#include "fake_vgpufront.h"

#define PAGE 4096u
#define STREAMS 65536

struct fake_buffer {
	bool used;
	bool pinned, read_only;
	unsigned char *ptr;
	uint64_t size;
	unsigned int pages, busy;
	int memfd; /* -1: pinned */
};

struct fake_request {
	struct fake_request *next;
	struct vgpufront_sqe sqe;
	struct vgpufront_cqe cqe;
};

struct fake_config fake_config;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	pthread_t thread;
	bool stop, lost;
	unsigned int waiting, unanswered;
	int fd;
	unsigned int seed;
	struct fake_request *queue, *done, **done_tail;
	struct fake_buffer buffers[VGPUFRONT_MAX_BUFFERS + 1];
	unsigned int held[STREAMS / 32];
	struct fake_counts counts;
} fake = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.change = PTHREAD_COND_INITIALIZER,
	.fd = -1,
};

int __wrap_sys_open(const char *path);
int __wrap_sys_close(int fd);
int __wrap_sys_ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys_mmap(int fd, size_t size, uint64_t offset, void **ptr);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local,
				unsigned long nr_local,
				const struct iovec *remote,
				unsigned long nr_remote, unsigned long flags);
ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *local,
				 unsigned long nr_local,
				 const struct iovec *remote,
				 unsigned long nr_remote, unsigned long flags);
ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *local,
				unsigned long nr_local,
				const struct iovec *remote,
				unsigned long nr_remote, unsigned long flags);
ssize_t __real_process_vm_writev(pid_t pid, const struct iovec *local,
				 unsigned long nr_local,
				 const struct iovec *remote,
				 unsigned long nr_remote, unsigned long flags);

static bool is_held(unsigned int stream)
{
	return fake.held[stream / 32] >> (stream % 32) & 1;
}

static struct fake_buffer *buffer(uint32_t handle)
{
	if (!handle || handle > VGPUFRONT_MAX_BUFFERS ||
	    !fake.buffers[handle].used)
		return NULL;
	return &fake.buffers[handle];
}

/* With the lock. */
static void complete(struct fake_request *req, int result)
{
	unsigned int i;

	req->cqe.user_data = req->sqe.user_data;
	req->cqe.result = result;
	req->cqe.time_ns = req->sqe.op == VGPUFRONT_OP_BUILTIN ? 1000 : 0;
	for (i = 0; req->sqe.op == VGPUFRONT_OP_BUILTIN && i < 3; i++) {
		struct fake_buffer *buf =
			buffer(req->sqe.builtin.operand[i].handle);

		if (buf)
			buf->busy--;
	}
	fake.unanswered--;
	req->next = NULL;
	*fake.done_tail = req;
	fake.done_tail = &req->next;
	eventfd_write(fake.fd, 1);
	pthread_cond_broadcast(&fake.change);
}

/* With the lock: takes a request that may run now, any one of them. */
static struct fake_request *pick(void)
{
	struct fake_request **at, **found = NULL, *req;
	unsigned int seen = 0;

	for (at = &fake.queue; *at; at = &(*at)->next) {
		bool first = true;

		for (req = fake.queue; req != *at; req = req->next)
			first &= req->sqe.stream != (*at)->sqe.stream;
		if (first && !is_held((*at)->sqe.stream) &&
		    rand_r(&fake.seed) % ++seen == 0)
			found = at;
	}
	if (!found)
		return NULL;
	req = *found;
	*found = req->next;
	return req;
}

static void add(const struct vgpufront_sqe *sqe,
		struct fake_buffer *const bufs[3])
{
	const float *a, *b;
	float *c;
	uint32_t i;

	a = (void *)(bufs[0]->ptr + sqe->builtin.operand[0].offset);
	b = (void *)(bufs[1]->ptr + sqe->builtin.operand[1].offset);
	c = (void *)(bufs[2]->ptr + sqe->builtin.operand[2].offset);
	for (i = 0; i < sqe->builtin.operand[0].count; i++)
		c[i] = a[i] + b[i];
	if (fake_config.corrupt)
		c[i - 1] += c[i - 1] + 1;
}

static void *backend(void *arg)
{
	struct fake_request *req;

	(void)arg;
	pthread_mutex_lock(&fake.lock);
	while (!fake.stop) {
		struct fake_buffer *bufs[3];
		unsigned int i;

		req = pick();
		if (!req) {
			pthread_cond_wait(&fake.change, &fake.lock);
			continue;
		}
		if (req->sqe.op == VGPUFRONT_OP_BUILTIN) {
			for (i = 0; i < 3; i++)
				bufs[i] = buffer(
					req->sqe.builtin.operand[i].handle);
			pthread_mutex_unlock(&fake.lock);
			add(&req->sqe, bufs);
			pthread_mutex_lock(&fake.lock);
		}
		complete(req, fake.lost ? -ENODEV : 0);
	}
	pthread_mutex_unlock(&fake.lock);
	return NULL;
}

static int grant(struct fake_buffer **out, uint32_t *handle, uint64_t first,
		 uint64_t size)
{
	unsigned int pages =
		(unsigned int)((first % PAGE + size + PAGE - 1) / PAGE);
	unsigned int i;

	if (fake.lost)
		return -ENODEV;
	if (!size)
		return -EINVAL;
	if (pages > fake_config.max_buffer_pages)
		return -E2BIG;
	if (fake.counts.buffers >= fake_config.max_buffers)
		return -EMFILE;
	if (fake.counts.pages + pages > fake_config.max_pages)
		return -ENOSPC;
	for (i = 1; fake.buffers[i].used; i++)
		;
	fake.buffers[i] = (struct fake_buffer){
		.used = true,
		.size = size,
		.pages = pages,
		.memfd = -1,
	};
	fake.counts.pages += pages;
	if (fake.counts.pages > fake.counts.peak_pages)
		fake.counts.peak_pages = fake.counts.pages;
	fake.counts.buffers++;
	*out = &fake.buffers[i];
	*handle = i;
	return 0;
}

static void ungrant(struct fake_buffer *buf)
{
	if (buf->memfd >= 0) {
		munmap(buf->ptr, (size_t)buf->pages * PAGE);
		close(buf->memfd);
	}
	buf->used = false;
	fake.counts.pages -= buf->pages;
	fake.counts.buffers--;
	fake.counts.pinned -= buf->pinned;
}

static int buffer_alloc(struct vgpufront_buffer_alloc *req)
{
	struct fake_buffer *buf;
	int err;

	assert(!req->flags);
	err = grant(&buf, &req->handle, 0, req->size);
	if (err)
		return err;
	buf->memfd = memfd_create("fake", MFD_CLOEXEC);
	assert(buf->memfd >= 0);
	err = ftruncate(buf->memfd, (off_t)buf->pages * PAGE);
	assert(!err);
	buf->ptr = mmap(NULL, (size_t)buf->pages * PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED, buf->memfd, 0);
	assert(buf->ptr != MAP_FAILED);
	req->mmap_offset = (uint64_t)req->handle << 32;
	return 0;
}

/* Is all of it there? The kernel would find out by pinning it. */
static bool is_mapped(uint64_t addr, uint64_t size)
{
	uint64_t page;
	char byte;

	for (page = addr / PAGE * PAGE; page < addr + size; page += PAGE) {
		struct iovec local = {&byte, 1};
		struct iovec remote = {(void *)(uintptr_t)page, 1};

		if (__real_process_vm_readv(getpid(), &local, 1, &remote, 1,
					    0) != 1)
			return false;
	}
	return true;
}

static int buffer_register(struct vgpufront_buffer_register *req)
{
	uint64_t start = (uintptr_t)fake_config.unpinnable;
	struct fake_buffer *buf;
	int err;

	assert(req->addr % 4 == 0);
	assert(!(req->flags & ~VGPUFRONT_BUFFER_READ_ONLY));
	if (!is_mapped(req->addr, req->size) ||
	    (req->addr < start + fake_config.unpinnable_size &&
	     start < req->addr + req->size))
		return -EFAULT;
	err = grant(&buf, &req->handle, req->addr, req->size);
	if (err)
		return err;
	buf->pinned = true;
	fake.counts.pinned++;
	buf->read_only = req->flags & VGPUFRONT_BUFFER_READ_ONLY;
	buf->ptr = (void *)(uintptr_t)req->addr;
	return 0;
}

static int buffer_free(const struct vgpufront_buffer_free *req)
{
	struct fake_buffer *buf = buffer(req->handle);

	assert(!req->reserved);
	assert(buf);
	if (buf->busy)
		return -EBUSY;
	ungrant(buf);
	return 0;
}

static int check_sqe(const struct vgpufront_sqe *sqe)
{
	unsigned int i;

	assert(!sqe->flags && !sqe->reserved);
	if (sqe->op == VGPUFRONT_OP_FENCE) {
		for (i = 0; i < 8; i++)
			assert(!sqe->body[i]);
		return 0;
	}
	assert(sqe->op == VGPUFRONT_OP_BUILTIN && sqe->builtin.kernel == 1);
	assert(!sqe->builtin.param && !sqe->builtin.param_len &&
	       !sqe->builtin.params);
	for (i = 0; i < 3; i++) {
		const struct vgpufront_operand *o = &sqe->builtin.operand[i];
		struct fake_buffer *buf = buffer(o->handle);

		assert(buf && o->offset % 4 == 0);
		assert(o->count && o->count == sqe->builtin.operand[0].count);
		assert(o->offset + 4ull * o->count <= buf->size);
		if (i == 2 && buf->read_only)
			return -EACCES;
	}
	return 0;
}

static void take(const struct vgpufront_sqe *sqe)
{
	struct fake_request *req = calloc(1, sizeof(*req)), **at;
	unsigned int i, pinned = 0;
	int err = check_sqe(sqe);

	assert(req);
	req->sqe = *sqe;
	fake.counts.requests++;
	fake.counts.in_flight++;
	fake.unanswered++;
	for (i = 0; sqe->op == VGPUFRONT_OP_BUILTIN && i < 3; i++)
		buffer(sqe->builtin.operand[i].handle)->busy++;
	if (err || fake.lost) {
		complete(req, err ? err : -ENODEV);
		return;
	}
	for (at = &fake.queue; *at; at = &(*at)->next)
		;
	*at = req;
	for (req = fake.queue; req; req = req->next)
		pinned += req->sqe.op == VGPUFRONT_OP_BUILTIN &&
			  buffer(req->sqe.builtin.operand[2].handle)->pinned;
	if (pinned > fake.counts.peak_pinned_in_flight)
		fake.counts.peak_pinned_in_flight = pinned;
	pthread_cond_broadcast(&fake.change);
}

static unsigned int reap(struct vgpufront_enter *req)
{
	struct vgpufront_cqe *cqes = (void *)(uintptr_t)req->cqes;
	struct fake_request *done;
	eventfd_t count;

	while (fake.done && req->completed < req->nr_cqes) {
		done = fake.done;
		fake.done = done->next;
		if (!fake.done)
			fake.done_tail = &fake.done;
		cqes[req->completed++] = done->cqe;
		free(done);
		fake.counts.in_flight--;
	}
	if (!fake.done && !fake.lost)
		eventfd_read(fake.fd, &count);
	return req->completed;
}

static int wait_change(int64_t deadline)
{
	struct timespec ts = {.tv_sec = deadline / 1000000000,
			      .tv_nsec = deadline % 1000000000};
	int err;

	fake.waiting++;
	pthread_cond_broadcast(&fake.change);
	if (deadline < 0)
		err = pthread_cond_wait(&fake.change, &fake.lock);
	else
		err = pthread_cond_clockwait(&fake.change, &fake.lock,
					     CLOCK_MONOTONIC, &ts);
	fake.waiting--;
	return err;
}

static int enter(struct vgpufront_enter *req)
{
	const struct vgpufront_sqe *sqes = (void *)(uintptr_t)req->sqes;
	int64_t deadline = -1;
	struct timespec ts;
	int err = 0;

	assert(!req->flags && req->min_complete <= req->nr_cqes);
	assert(!req->submitted && !req->completed);
	if (fake.lost && !fake.counts.in_flight)
		return -ENODEV;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (req->timeout_ns >= 0)
		deadline =
			ts.tv_sec * 1000000000ll + ts.tv_nsec + req->timeout_ns;
	while (req->submitted < req->nr_sqes &&
	       req->submitted < fake_config.ring_slots &&
	       fake.counts.in_flight < fake_config.max_requests)
		take(&sqes[req->submitted++]);
	while (fake_config.coalesce && req->min_complete && fake.unanswered &&
	       !err)
		err = wait_change(deadline);
	while (reap(req) < req->min_complete && fake.counts.in_flight && !err &&
	       req->timeout_ns)
		err = wait_change(deadline);
	if (req->submitted || req->completed ||
	    (!req->nr_sqes && !req->min_complete))
		return 0;
	if (!req->nr_sqes && !fake.counts.in_flight)
		return 0;
	return err ? -ETIME : -EAGAIN;
}

int __wrap_sys_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = 0;

	pthread_mutex_lock(&fake.lock);
	assert(fd == fake.fd);
	fake.counts.ioctls++;
	if (fake_config.eintr_every &&
	    fake.counts.ioctls % fake_config.eintr_every == 0) {
		pthread_mutex_unlock(&fake.lock);
		return -EINTR;
	}
	if (request == VGPUFRONT_IOC_INFO) {
		struct vgpufront_info *info = arg;

		fake.counts.infos++;
		*info = (struct vgpufront_info){
			.abi = fake_config.abi,
			.state = fake.lost ? VGPUFRONT_STATE_CLOSING :
					     VGPUFRONT_STATE_CONNECTED,
			.generation = 1,
			.lost = fake.lost,
			.max_buffer_pages = fake_config.max_buffer_pages,
			.engine = "cpu",
			.gpu_name = "Fake processor",
			.ops = "nop info buffer-map buffer-unmap builtin fence ctx-destroy",
			.builtins = "vector-add",
			.gpu_memory = 1 << 30,
			.nr_buffers = fake.counts.buffers,
		};
		/* All of the field: the library must not rely on a NUL. */
		memset(info->driver_version, 'v', sizeof(info->driver_version));
	} else if (request == VGPUFRONT_IOC_BUFFER_ALLOC) {
		fake.counts.allocs++;
		ret = buffer_alloc(arg);
	} else if (request == VGPUFRONT_IOC_BUFFER_REGISTER) {
		fake.counts.registers++;
		ret = buffer_register(arg);
	} else if (request == VGPUFRONT_IOC_BUFFER_FREE) {
		fake.counts.frees++;
		ret = buffer_free(arg);
	} else {
		assert(request == VGPUFRONT_IOC_ENTER);
		fake.counts.enters++;
		ret = enter(arg);
	}
	pthread_mutex_unlock(&fake.lock);
	return ret;
}

int __wrap_sys_open(const char *path)
{
	assert(!strcmp(path, "/dev/vgpufront"));
	if (fake_config.open_error)
		return fake_config.open_error;
	assert(fake.fd < 0);
	fake.stop = fake.lost = false;
	fake.queue = fake.done = NULL;
	fake.done_tail = &fake.done;
	fake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fake.counts.opened++;
	pthread_create(&fake.thread, NULL, backend, NULL);
	return fake.fd;
}

int __wrap_sys_close(int fd)
{
	unsigned int i;

	assert(fd == fake.fd);
	pthread_mutex_lock(&fake.lock);
	/* The library must have waited for what writes to its caller's memory. */
	assert(!fake.counts.in_flight);
	fake.stop = true;
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake.lock);
	pthread_join(fake.thread, NULL);
	for (i = 1; i <= VGPUFRONT_MAX_BUFFERS; i++)
		if (fake.buffers[i].used)
			ungrant(&fake.buffers[i]);
	close(fake.fd);
	fake.fd = -1;
	fake.counts.opened--;
	return 0;
}

int __wrap_sys_mmap(int fd, size_t size, uint64_t offset, void **ptr)
{
	struct fake_buffer *buf = buffer((uint32_t)(offset >> 32));

	assert(fd == fake.fd && buf && size <= (size_t)buf->pages * PAGE);
	*ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buf->memfd,
		    0);
	return *ptr == MAP_FAILED ? -errno : 0;
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local,
				unsigned long nr_local,
				const struct iovec *remote,
				unsigned long nr_remote, unsigned long flags)
{
	if (fake_config.no_safe_copy) {
		errno = EPERM;
		return -1;
	}
	return __real_process_vm_readv(pid, local, nr_local, remote, nr_remote,
				       flags);
}

ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *local,
				 unsigned long nr_local,
				 const struct iovec *remote,
				 unsigned long nr_remote, unsigned long flags)
{
	if (fake_config.no_safe_copy) {
		errno = EPERM;
		return -1;
	}
	return __real_process_vm_writev(pid, local, nr_local, remote, nr_remote,
					flags);
}

void fake_reset(void)
{
	fake_config = (struct fake_config){
		.abi = VGPUFRONT_ABI_VERSION,
		.max_pages = 32768,
		.max_buffers = VGPUFRONT_MAX_BUFFERS,
		.max_buffer_pages = 65536,
		.max_requests = VGPUFRONT_MAX_REQUESTS,
		.ring_slots = 64,
	};
	memset(&fake.counts, 0, sizeof(fake.counts));
	memset(fake.held, 0, sizeof(fake.held));
}

struct fake_counts fake_counts(void)
{
	struct fake_counts counts;

	pthread_mutex_lock(&fake.lock);
	counts = fake.counts;
	pthread_mutex_unlock(&fake.lock);
	return counts;
}

void fake_hold(unsigned int stream)
{
	pthread_mutex_lock(&fake.lock);
	fake.held[stream / 32] |= 1u << (stream % 32);
	pthread_mutex_unlock(&fake.lock);
}

void fake_release(unsigned int stream)
{
	pthread_mutex_lock(&fake.lock);
	fake.held[stream / 32] &= ~(1u << (stream % 32));
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake.lock);
}

void fake_await_in_flight(unsigned int nr)
{
	pthread_mutex_lock(&fake.lock);
	while (fake.counts.in_flight < nr)
		pthread_cond_wait(&fake.change, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

void fake_await_waiting(void)
{
	pthread_mutex_lock(&fake.lock);
	while (!fake.waiting)
		pthread_cond_wait(&fake.change, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

void fake_lose(void)
{
	struct fake_request *req;

	pthread_mutex_lock(&fake.lock);
	fake.lost = true;
	while ((req = fake.queue)) {
		fake.queue = req->next;
		complete(req, -ENODEV);
	}
	eventfd_write(fake.fd, 1);
	pthread_mutex_unlock(&fake.lock);
}
