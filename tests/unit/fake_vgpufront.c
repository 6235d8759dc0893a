// SPDX-License-Identifier: MIT
/*
 * fake_vgpufront.c - a double of the module vgpufront, see fake_vgpufront.h
 *
 * Owns the one device, which may be open once at a time: its file, buffers and
 * ENTER. The program's threads are in the __wrap_ functions, the backend's thread
 * in backend(); fake_lock guards all. Breaks of the ABI by the library end in
 * abort(). What the operations do is fake_vgpufront_work.c's.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <uapi/vgpufront.h>

#include "fake_vgpufront.h"
#include "fake_vgpufront_work.h"

#define PAGE 4096u
#define STREAMS FAKE_STREAMS

struct fake_config fake_config;

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

/* A failure that a test asked for. */
struct planned {
	uint8_t op;
	int err;
};

static struct {
	pthread_cond_t change;
	pthread_t thread;
	bool stop, lost;
	unsigned int waiting, unanswered;
	int fd;
	unsigned int seed;
	struct fake_request *queue, **queue_tail, *done, **done_tail;
	struct fake_buffer buffers[VGPUFRONT_MAX_BUFFERS + 1];
	unsigned int held[STREAMS / 32];
	struct planned refuse, fail;
	uint8_t order[FAKE_ORDER];
	struct fake_counts counts;
} fake = {
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

struct fake_buffer *fake_buffer_find(uint32_t handle)
{
	if (!handle || handle > VGPUFRONT_MAX_BUFFERS ||
	    !fake.buffers[handle].used)
		return NULL;
	return &fake.buffers[handle];
}

static bool is_quiet(const struct fake_request *req)
{
	return req->sqe.flags & VGPUFRONT_SQE_QUIET;
}

/* With the lock. refused: by the module, at once. */
static void complete(struct fake_request *req, int result, bool refused)
{
	req->cqe.user_data = req->sqe.user_data;
	req->cqe.result = result;
	req->cqe.time_ns = req->sqe.op == VGPUFRONT_OP_BUILTIN ? 1000 : 0;
	work_done(req, refused && is_quiet(req) ? 0 : result);
	fake.unanswered--;
	pthread_cond_broadcast(&fake.change);
	if (is_quiet(req) && !refused) {
		free(req);
		return;
	}
	req->next = NULL;
	*fake.done_tail = req;
	fake.done_tail = &req->next;
	eventfd_write(fake.fd, 1);
}

/* With the lock: takes a request that may run now, any one of them. */
static struct fake_request *pick(void)
{
	static unsigned int round, met[STREAMS];
	struct fake_request **at, **found = NULL, *req;
	unsigned int seen = 0;

	round++;
	for (at = &fake.queue; *at; at = &(*at)->next) {
		uint16_t stream = (*at)->sqe.stream;

		if (met[stream] == round)
			continue;
		met[stream] = round;
		if (!is_held(stream) && work_may_run(*at) &&
		    rand_r(&fake.seed) % ++seen == 0)
			found = at;
	}
	if (!found)
		return NULL;
	req = *found;
	*found = req->next;
	if (!*found)
		fake.queue_tail = found;
	return req;
}

static void *backend(void *arg)
{
	struct fake_request *req;
	int err;

	(void)arg;
	pthread_mutex_lock(&fake_lock);
	while (!fake.stop) {
		req = pick();
		if (!req) {
			pthread_cond_wait(&fake.change, &fake_lock);
			continue;
		}
		pthread_mutex_unlock(&fake_lock);
		err = work_run(req);
		pthread_mutex_lock(&fake_lock);
		complete(req, fake.lost ? -ENODEV : err, false);
	}
	pthread_mutex_unlock(&fake_lock);
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
	struct fake_buffer *buf = fake_buffer_find(req->handle);

	assert(!req->reserved);
	assert(buf);
	if (buf->busy)
		return -EBUSY;
	ungrant(buf);
	return 0;
}

static bool is_planned(struct planned *planned, uint8_t op)
{
	if (!planned->err || planned->op != op)
		return false;
	planned->op = 0;
	return true;
}

static void count(const struct fake_request *req)
{
	struct fake_request *other;
	unsigned int pinned = 0;

	fake.order[fake.counts.requests++ % FAKE_ORDER] = req->sqe.op;
	fake.counts.quiet += is_quiet(req);
	fake.counts.in_flight += !is_quiet(req);
	fake.unanswered++;
	for (other = fake.queue; other; other = other->next)
		pinned += other->place[2].buf && other->place[2].buf->pinned;
	pinned += req->place[2].buf && req->place[2].buf->pinned;
	if (pinned > fake.counts.peak_pinned_in_flight)
		fake.counts.peak_pinned_in_flight = pinned;
}

static void take(const struct vgpufront_sqe *sqe)
{
	struct fake_request *req = calloc(1, sizeof(*req));
	int err;

	assert(req && !sqe->reserved);
	req->sqe = *sqe;
	err = work_take(req);
	count(req);
	if (is_planned(&fake.refuse, sqe->op))
		err = fake.refuse.err;
	if (is_planned(&fake.fail, sqe->op))
		req->err = fake.fail.err;
	if (err && is_quiet(req))
		fake.counts.in_flight++;
	if (err || fake.lost) {
		complete(req, err ? err : -ENODEV, err);
		return;
	}
	*fake.queue_tail = req;
	fake.queue_tail = &req->next;
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
		err = pthread_cond_wait(&fake.change, &fake_lock);
	else
		err = pthread_cond_clockwait(&fake.change, &fake_lock,
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
	       fake.counts.in_flight < fake_config.max_requests && !fake.lost) {
		if (fake.unanswered < fake_config.ring_slots)
			take(&sqes[req->submitted++]);
		else if (!req->timeout_ns || wait_change(deadline))
			break;
	}
	if (req->submitted > fake.counts.peak_batch)
		fake.counts.peak_batch = req->submitted;
	while (fake_config.coalesce && req->min_complete && fake.unanswered &&
	       !err)
		err = wait_change(deadline);
	while (reap(req) < req->min_complete && fake.counts.in_flight && !err &&
	       req->timeout_ns)
		err = wait_change(deadline);
	if (fake.lost && req->submitted < req->nr_sqes && !req->submitted &&
	    !req->completed)
		return -ENODEV;
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

	pthread_mutex_lock(&fake_lock);
	assert(fd == fake.fd);
	fake.counts.ioctls++;
	if (fake_config.eintr_every &&
	    fake.counts.ioctls % fake_config.eintr_every == 0) {
		pthread_mutex_unlock(&fake_lock);
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
			.builtins = "vector-add saxpy sgemm reduce-sum",
			.gpu_memory = 1 << 30,
			.mem_quota = fake_config.mem_quota,
			.mem_used = 5 << 20,
			.nr_buffers = fake.counts.buffers,
			.nr_objects = work_objects(),
			.launches = 7,
		};
		snprintf(info->ops, sizeof(info->ops), "%s%s",
			 "nop info buffer-map buffer-unmap builtin fence "
			 "mem-alloc mem-free copy fill ctx-destroy",
			 fake_config.runs_modules ? " module-load launch" : "");
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
	pthread_mutex_unlock(&fake_lock);
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
	fake.queue_tail = &fake.queue;
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
	pthread_mutex_lock(&fake_lock);
	/* The library must have waited for what writes to its caller's memory. */
	assert(!fake.counts.in_flight && !fake.unanswered);
	fake.stop = true;
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake_lock);
	pthread_join(fake.thread, NULL);
	work_reset();
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
	struct fake_buffer *buf = fake_buffer_find((uint32_t)(offset >> 32));

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
		.ring_slots = 256,
	};
	fake.refuse.op = fake.fail.op = 0;
	memset(&fake.counts, 0, sizeof(fake.counts));
	memset(fake.held, 0, sizeof(fake.held));
}

struct fake_counts fake_counts(void)
{
	struct fake_counts counts;

	pthread_mutex_lock(&fake_lock);
	counts = fake.counts;
	counts.objects = work_objects();
	pthread_mutex_unlock(&fake_lock);
	return counts;
}

void fake_hold(unsigned int stream)
{
	pthread_mutex_lock(&fake_lock);
	fake.held[stream / 32] |= 1u << (stream % 32);
	pthread_mutex_unlock(&fake_lock);
}

void fake_release(unsigned int stream)
{
	pthread_mutex_lock(&fake_lock);
	fake.held[stream / 32] &= ~(1u << (stream % 32));
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake_lock);
}

void fake_resize_ring(unsigned int slots)
{
	pthread_mutex_lock(&fake_lock);
	fake_config.ring_slots = slots;
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake_lock);
}

void fake_await_in_flight(unsigned int nr)
{
	pthread_mutex_lock(&fake_lock);
	while (fake.counts.in_flight < nr)
		pthread_cond_wait(&fake.change, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
}

void fake_await_waiting(void)
{
	pthread_mutex_lock(&fake_lock);
	while (!fake.waiting)
		pthread_cond_wait(&fake.change, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
}

void fake_await_idle(void)
{
	pthread_mutex_lock(&fake_lock);
	while (fake.unanswered)
		pthread_cond_wait(&fake.change, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
}

void fake_lose(void)
{
	struct fake_request *req;

	pthread_mutex_lock(&fake_lock);
	fake.lost = true;
	while ((req = fake.queue)) {
		fake.queue = req->next;
		complete(req, -ENODEV, false);
	}
	fake.queue_tail = &fake.queue;
	eventfd_write(fake.fd, 1);
	pthread_cond_broadcast(&fake.change);
	pthread_mutex_unlock(&fake_lock);
}

void fake_refuse_next(uint8_t op, int err)
{
	pthread_mutex_lock(&fake_lock);
	fake.refuse = (struct planned){op, err};
	pthread_mutex_unlock(&fake_lock);
}

void fake_fail_next(uint8_t op, int err)
{
	pthread_mutex_lock(&fake_lock);
	fake.fail = (struct planned){op, err};
	pthread_mutex_unlock(&fake_lock);
}

unsigned int fake_order(unsigned int from, uint8_t *ops, unsigned int nr)
{
	unsigned int i;

	pthread_mutex_lock(&fake_lock);
	for (i = 0; i < nr && from + i < fake.counts.requests; i++)
		ops[i] = fake.order[(from + i) % FAKE_ORDER];
	pthread_mutex_unlock(&fake_lock);
	return i;
}
