/* SPDX-License-Identifier: MIT */
/*
 * fake_xenstore.h - the libxenstore calls of our tools, over a table in memory
 *
 * Link fake_xenstore.o instead of -lxenstore. One thread. Values, permissions
 * (inherited at creation, as xenstored does for dom0), transactions that can be
 * told to conflict, and watches. Must never be linked into what is installed.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <stdbool.h>

#include <xenstore.h>

/* Empty store with /local/domain/<domid>/domid = "<domid>" for the caller. */
void fake_xs_reset(unsigned int own_domid);

/* A node and its missing parents; perms like "n7,r0", NULL: inherited. */
void fake_xs_set(const char *path, const char *value, const char *perms);
void fake_xs_del(const char *path);
void fake_xs_perms(const char *path, const char *perms);

/* The value, or NULL. Valid until the node changes. */
const char *fake_xs_get(const char *path);

/* "n7,r0" of a node; valid until the next call. */
const char *fake_xs_get_perms(const char *path);

/* Every node below path, itself included. */
unsigned int fake_xs_count(const char *path);

/* The next so many transactions end in EAGAIN, and without effect. */
extern unsigned int fake_xs_conflicts;

/* How many values were read. */
extern unsigned int fake_xs_reads;

/* Where not NULL, a path that may be neither read nor written: EACCES. */
extern const char *fake_xs_denied;

/* Where not 0, directories cannot be listed, for this reason. */
extern int fake_xs_errno;

/*
 * Called after each change that is visible to others, from within the call
 * that made it, and each time somebody waits on xs_fileno(): plays the peer.
 */
extern void (*fake_xs_peer)(void);

#endif
