/* SPDX-License-Identifier: MIT */
/*
 * fake_vgpufront.h - a double of the module vgpufront for the library's tests
 *
 * Put in the place of the library's system calls by the linker (--wrap). Keeps
 * the ABI of <uapi/vgpufront.h>: handles, limits, one completion a request that
 * is not quiet, first failures, order within a stream and none between streams
 * but by events. The work is done by a thread
 * of its own, so that the sanitizers see what a backend would do.
 */
#ifndef FAKE_VGPUFRONT_H
#define FAKE_VGPUFRONT_H

#include <stdbool.h>
#include <stdint.h>

/* What a test sets before it opens the device; fake_reset() has the defaults. */
struct fake_config {
	int open_error; /* negative errno, or 0 */
	uint32_t abi;
	unsigned int max_pages; /* granted at a time */
	unsigned int max_buffers;
	unsigned int max_buffer_pages;
	unsigned int max_requests;
	unsigned int ring_slots;  /* requests that are not answered */
	unsigned int eintr_every; /* every so many ioctls; 0: none */
	bool no_safe_copy;	  /* process_vm_*() say EPERM */
	bool coalesce;		  /* ENTER waits until all are answered */
	uint64_t mem_quota;	  /* bytes of device memory; 0: no limit */
	bool runs_modules;	  /* says that it runs code of the guest */
	bool corrupt;		  /* the last element of a sum is wrong */
	const void *unpinnable;	  /* memory that can not be pinned */
	unsigned long unpinnable_size;
};

/* What a test may ask, at any time. */
struct fake_counts {
	unsigned int ioctls, infos, allocs, registers, frees, enters;
	unsigned int requests, quiet;	/* taken, and quiet ones of them */
	unsigned int peak_batch;	/* taken in one call */
	unsigned int objects;		/* that have a name */
	unsigned int pages, peak_pages; /* granted */
	unsigned int buffers;		/* of them pinned memory: */
	unsigned int pinned;
	unsigned int in_flight;		    /* not reaped */
	unsigned int peak_pinned_in_flight; /* requests with pinned operands */
	unsigned int opened;		    /* descriptors not closed */
};

extern struct fake_config fake_config;

void fake_reset(void);
struct fake_counts fake_counts(void);
/* The backend works on no request of the stream until it is released. */
void fake_hold(unsigned int stream);
void fake_release(unsigned int stream);
/* From now on. */
void fake_resize_ring(unsigned int slots);
/* Waits until so many requests are in flight. */
void fake_await_in_flight(unsigned int nr);
/* Waits until a call is in ENTER, waiting for a completion. */
void fake_await_waiting(void);
/* Waits until the backend has nothing to do. */
void fake_await_idle(void);
/* The next request of the kind is refused by the module, or fails in its turn. */
void fake_refuse_next(uint8_t op, int err);
void fake_fail_next(uint8_t op, int err);
/* Operations of the last FAKE_ORDER requests, from a count of them on. */
#define FAKE_ORDER 4096
unsigned int fake_order(unsigned int from, uint8_t *ops, unsigned int nr);
/* The device is lost: what is in flight is answered -ENODEV. */
void fake_lose(void);

#endif /* FAKE_VGPUFRONT_H */
