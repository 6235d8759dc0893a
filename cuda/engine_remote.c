// SPDX-License-Identifier: MIT
/*
 * engine_remote.c - the engine that is somewhere else
 *
 * Sends jobs with their operands' data over a byte stream to vgpu-engined
 * (remote_proto.h), where an engine runs them. Here: opening, closing, and the
 * calls that are about the engine as a whole; they run on the caller's thread.
 *
 * The facts are those of the far engine, unchanged: what runs the work is what
 * it says it is, wherever it is. An engine that comes back as another one after
 * a break is refused.
 *
 * Must never give a job back twice or not at all, whatever the far end does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine_remote.h"

/* How long the caller waits for what changes before it takes what is known. */
#define INFO_MS 1000

static struct remote_engine *to_remote(struct vgpu_engine *eng)
{
	return (struct remote_engine *)eng;
}

/* Takes back whatever of the engine was made, but its thread. */
static void unmake(struct remote_engine *eng)
{
	if (eng->link) {
		remote_link_close(eng->link);
		munmap(eng->link, sizeof(*eng->link));
	}
	if (eng->memory)
		munmap(eng->memory, (size_t)eng->window * REMOTE_SLOT_OCTETS);
	if (eng->wake >= 0)
		close(eng->wake);
	if (eng->fd >= 0)
		close(eng->fd);
	pthread_cond_destroy(&eng->info_came);
	pthread_mutex_destroy(&eng->lock);
	free(eng);
}

static void remote_close(struct vgpu_engine *base)
{
	struct remote_engine *eng = to_remote(base);
	const uint64_t one = 1;

	pthread_mutex_lock(&eng->lock);
	eng->stop = true;
	pthread_mutex_unlock(&eng->lock);
	if (write(eng->wake, &one, sizeof(one)) != sizeof(one))
		abort();
	pthread_join(eng->thread, NULL);
	unmake(eng);
}

/* Pages that nothing has touched yet. */
static void *pages(size_t octets)
{
	void *p = mmap(NULL, octets, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct remote_engine *make(const struct remote_times *times)
{
	struct remote_engine *eng = calloc(1, sizeof(*eng));
	pthread_condattr_t attr;

	if (!eng)
		return NULL;
	eng->base.ops = &vgpu_engine_remote;
	eng->times = *times;
	eng->next_id = 1;
	pthread_mutex_init(&eng->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&eng->info_came, &attr);
	pthread_condattr_destroy(&attr);
	eng->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eng->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eng->link = pages(sizeof(*eng->link));
	if (eng->link)
		eng->link->fd = -1;
	if (eng->fd >= 0 && eng->wake >= 0 && eng->link)
		return eng;
	unmake(eng);
	return NULL;
}

/* The far end has said how many parts it takes at a time. */
static bool make_slots(struct remote_engine *eng)
{
	eng->window = eng->link->window;
	eng->memory = pages((size_t)eng->window * REMOTE_SLOT_OCTETS);
	for (unsigned int i = 0; eng->memory && i < eng->window; i++)
		eng->slot[i].data = eng->memory + (size_t)i * REMOTE_SLOT_OCTETS;
	return eng->memory;
}

static bool start(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	int err = ENOMEM;

	if (!remote_link_open(eng->link, &eng->addr, &eng->times, 0, eng->wake,
			      why))
		return false;
	eng->facts = eng->link->facts;
	eng->info = eng->link->info;
	eng->tells = eng->link->capabilities & REMOTE_CAP_INFO;
	eng->up = true;
	if (make_slots(eng))
		err = pthread_create(&eng->thread, NULL, remote_io_thread, eng);
	if (err)
		snprintf(why, VGPU_ENGINE_WHY, "cannot start the I/O thread: %s",
			 strerror(err));
	return !err;
}

struct vgpu_engine *remote_open(const char *address,
				const struct remote_times *times,
				char why[VGPU_ENGINE_WHY])
{
	struct remote_engine *eng = make(times);

	if (!eng) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory or descriptors");
		return NULL;
	}
	if (!remote_parse(address, false, &eng->addr, why) ||
	    !start(eng, why)) {
		unmake(eng);
		return NULL;
	}
	return &eng->base;
}

static struct vgpu_engine *
remote_open_configured(const struct vgpu_engine_config *cfg,
		       char why[VGPU_ENGINE_WHY])
{
	static const struct remote_times times = REMOTE_TIMES;

	if (cfg->address)
		return remote_open(cfg->address, &times, why);
	snprintf(why, VGPU_ENGINE_WHY, "no address: remote:ADDRESS");
	return NULL;
}

static void remote_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *out)
{
	*out = to_remote(eng)->facts;
}

static void remote_info(struct vgpu_engine *base, struct vgpu_engine_info *out)
{
	struct remote_engine *eng = to_remote(base);
	struct timespec until;
	uint64_t ask;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += INFO_MS / 1000;
	pthread_mutex_lock(&eng->lock);
	ask = eng->info_asked + eng->tells;
	eng->info_asked = ask;
	if (eng->up)
		remote_kick(eng);
	while (eng->up && eng->info_answered < ask)
		if (pthread_cond_timedwait(&eng->info_came, &eng->lock, &until))
			break;
	*out = eng->info;
	pthread_mutex_unlock(&eng->lock);
}

/* An operand is copied into frames wherever it lies. */
static bool remote_region_test(struct vgpu_engine *eng, void *base,
			       size_t bytes, char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	memset(base, 0, bytes);
	snprintf(why, VGPU_ENGINE_WHY, "the engine is elsewhere");
	return false;
}

static int remote_fd(struct vgpu_engine *eng)
{
	return to_remote(eng)->fd;
}

const struct vgpu_engine_ops vgpu_engine_remote = {
	.name = "remote",
	.open = remote_open_configured,
	.close = remote_close,
	.facts = remote_facts,
	.info = remote_info,
	.stream_create = remote_stream_create,
	.stream_destroy = remote_stream_destroy,
	.region_test = remote_region_test,
	.mem_free = remote_mem_free,
	.module_unload = remote_module_unload,
	.submit = remote_submit,
	.reap = remote_reap,
	.arm = remote_arm,
	.fd = remote_fd,
};
