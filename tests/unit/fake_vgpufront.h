/* SPDX-License-Identifier: MIT */
/*
 * fake_vgpufront.h - a double of the module vgpufront for the library's tests
 *
 * Put in the place of the library's system calls by the linker (--wrap). Keeps
 * the ABI of <uapi/vgpufront.h>: handles, limits, one completion a request,
 * order within a stream and none between streams. The work is done by a thread
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
	unsigned int ring_slots;  /* a call that may not wait takes no more */
	unsigned int eintr_every; /* every so many ioctls; 0: none */
	bool no_safe_copy;	  /* process_vm_*() say EPERM */
	bool coalesce;		  /* ENTER waits until all are answered */
	bool corrupt;		  /* the last element of a sum is wrong */
	const void *unpinnable;	  /* memory that can not be pinned */
	unsigned long unpinnable_size;
};

/* What a test may ask, at any time. */
struct fake_counts {
	unsigned int ioctls, infos, allocs, registers, frees, enters;
	unsigned int requests;		/* taken */
	unsigned int pages, peak_pages; /* granted */
	unsigned int buffers;		/* of them pinned memory: */
	unsigned int pinned;
	unsigned int in_flight;
	unsigned int peak_pinned_in_flight; /* requests with pinned operands */
	unsigned int opened;		    /* descriptors not closed */
};

extern struct fake_config fake_config;

void fake_reset(void);
struct fake_counts fake_counts(void);
/* The backend works on no request of the stream until it is released. */
void fake_hold(unsigned int stream);
void fake_release(unsigned int stream);
/* Waits until so many requests are in flight. */
void fake_await_in_flight(unsigned int nr);
/* Waits until a call is in ENTER, waiting for a completion. */
void fake_await_waiting(void);
/* The device is lost: what is in flight is answered -ENODEV. */
void fake_lose(void);

#endif /* FAKE_VGPUFRONT_H */
