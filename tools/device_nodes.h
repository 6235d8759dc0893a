/* SPDX-License-Identifier: MIT */
/*
 * device_nodes.h - the toolstack's nodes of a device
 *
 * Owns every write to xenstore that makes, changes, closes or removes a device,
 * for vgpuctl and for what vgpubackd remembers; one thread each. Each of these
 * is one transaction, as libxl does it for its own device classes. Must never
 * write a node that vgpu.schema gives to the backend or the frontend alone.
 */
#ifndef VGPU_DEVICE_NODES_H
#define VGPU_DEVICE_NODES_H

#include "device_line.h"
#include "domains.h"

#define VGPU_DEV_MAX 64 /* devices of one domain; bits of a mask */
#define NODES_ERR 256

/* One device: the domains and numbers that its two paths are made of. */
struct vgpu_dev {
	unsigned int back;
	unsigned int guest;
	unsigned int devid;
};

void nodes_back_path(const struct vgpu_dev *d, char path[DOMAIN_PATH_LEN]);
void nodes_front_path(const struct vgpu_dev *d, char path[DOMAIN_PATH_LEN]);

/* A node of one of the directories: malloced value or NULL. */
char *nodes_read(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		 const char *node);

/* xenbus state in dir/state; 0 where it is missing or no number. */
unsigned int nodes_state(struct xs_handle *xs, xs_transaction_t t,
			 const char *dir);

/*
 * The devices of domain guest (all domains where ANY_DOMAIN), at most max, by
 * their backend directories in all backend domains, then those whose backend's
 * domain is gone. Returns how many.
 */
#define ANY_DOMAIN (~0u)
size_t nodes_list(struct xs_handle *xs, unsigned int guest,
		  struct vgpu_dev *dev, size_t max);

/*
 * NODES_THERE: the device of that number is there already, just as the line
 * says. NODES_TAKEN: there is another one of that number.
 */
enum nodes_added { NODES_FAILED, NODES_NEW, NODES_THERE, NODES_TAKEN };

/*
 * Makes both directories, Initialising, and picks d->devid where line->devid is
 * DEVICE_LINE_ANY_DEVID: none of those with a bit in kept. line->backend is not
 * looked at: d->back counts. In err, why, where the result is NODES_FAILED or
 * NODES_TAKEN.
 */
enum nodes_added nodes_add(struct xs_handle *xs, struct vgpu_dev *d,
			   const struct device_line *line, uint64_t kept,
			   char err[NODES_ERR]);

/*
 * Changes mem, weight and cap of a device that is there by what change says of them
 * (device_line_change()), all or nothing; line is what it has then. Refuses a mem
 * that is more than its GPU has.
 */
bool nodes_change(struct xs_handle *xs, const struct vgpu_dev *d,
		  const char *change, struct device_line *line,
		  char err[NODES_ERR]);

/* Asks the backend to close for good: online = 0, state = Closing. */
bool nodes_close(struct xs_handle *xs, const struct vgpu_dev *d);

/* Removes both directories, and the parents that are empty then. */
bool nodes_remove(struct xs_handle *xs, const struct vgpu_dev *d);

#endif
