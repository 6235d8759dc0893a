/* SPDX-License-Identifier: MIT */
/*
 * device.h - /dev/vgpufront in user space
 *
 * The ioctls of <uapi/vgpufront.h> over a connected front: what libvgpufront
 * needs of a kernel, put in the place of its system calls by the linker
 * (--wrap=sys_open ...). Requests are checked and translated by the module's own
 * sources, so that the unmodified library runs against the unmodified backend.
 *
 * What differs from the module: memory of the program can not be granted
 * (BUFFER_REGISTER says -EFAULT, and the library copies instead), addresses are
 * not checked (what would be -EFAULT there is SIGSEGV here), and there is no
 * interrupt: a thread in ENTER takes responses, waits for the event, and
 * wakes the others. A device that is lost does not come back.
 */
#ifndef NATIVE_DEVICE_H
#define NATIVE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct front;

/*
 * What a guest would call its kernel and hypervisor for, since device_begin().
 *
 * @enters: VGPUFRONT_IOC_ENTER; @ioctls: the others
 * @requests: those of programs that went to the backend
 * @notify_sent: events to the backend; @events: those that woke a thread
 * @waits: times that a thread went to sleep for one
 */
struct device_counts {
	uint64_t enters;
	uint64_t ioctls;
	uint64_t requests;
	uint64_t notify_sent;
	uint64_t events;
	uint64_t waits;
};

/*
 * One device at a time. The front is the device's alone until device_end(),
 * which closes what is open, as the end of a process does. spin: never ask for
 * an event nor sleep; only for programs of one thread that do not poll().
 */
bool device_begin(struct front *f, bool spin);
void device_end(void);

/* It was lost: its backend is Closed. */
bool device_lost(void);

struct device_counts device_counts(void);

#endif /* NATIVE_DEVICE_H */
