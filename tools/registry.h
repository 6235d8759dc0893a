/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the state file: which domains have which vgpu devices
 *
 * Written by vgpuctl, and by vgpubackd where a domain's UUID or name changed;
 * read by both. A text file:
 *
 *   xen-vgpu devices 1
 *   device UUID NAME LINE
 *   ...
 *   end
 *
 * UUID is the domain's, or REGISTRY_NO_UUID where none is known yet (a domain
 * of that name will be the one); NAME is its name, with what is no graphic
 * ASCII, and '%', as %XX; LINE is a device line with a devid, to the end of the
 * line. The file is read strictly and as a whole: one bad record, and nothing of
 * it is used, nor is it ever written again before a person has looked at it.
 *
 * Readers need no lock: the file is replaced in one step. Writers hold a lock
 * on a file beside it from before they read until after they have written.
 */
#ifndef VGPU_REGISTRY_H
#define VGPU_REGISTRY_H

#include "device_line.h"
#include "domains.h"

#define REGISTRY_PATH "/var/lib/xen-vgpu/devices"
#define REGISTRY_NO_UUID "00000000-0000-0000-0000-000000000000"
#define REGISTRY_MAX_BYTES (1u << 20)
#define REGISTRY_MAX 4096
#define REGISTRY_ERR 512
/* What every message about a file that is of no use says then. */
#define REGISTRY_ADVICE                                                        \
	"nothing in the file is used or overwritten until it is repaired, or " \
	"moved away to begin anew"

struct registry_entry {
	char uuid[DOMAIN_UUID_LEN];
	char name[DOMAIN_NAME_LEN];
	struct device_line line;
};

/* @lock: of registry_open(), -1 where there is none */
struct registry {
	struct registry_entry *entry;
	size_t n;
	char *path;
	int lock;
};

/* ---- registry.c: text and entries, no files ---- */

#define REGISTRY_NONE ((struct registry){.lock = -1})

void registry_free(struct registry *r);

/*
 * Adds the entries of a text to r, which is empty. On failure false, r still
 * empty, and in err the number of the line and why: "3: ...".
 */
bool registry_parse(struct registry *r, const char *text, size_t len,
		    char err[REGISTRY_ERR]);

/* The text of all entries, malloced; NULL: out of memory. */
char *registry_format(const struct registry *r, size_t *len);

/*
 * Adds an entry, in the place of one with this UUID (where there is none yet:
 * this name) and devid. False: out of memory, or too many.
 */
bool registry_put(struct registry *r, const struct registry_entry *e);

/* The entry of a domain's device, or NULL. */
struct registry_entry *registry_find(struct registry *r, const char *uuid,
				     unsigned int devid);

/* Removes the entries for which drop says so; how many that were. */
size_t registry_drop(struct registry *r,
		     bool (*drop)(const struct registry_entry *e,
				  const void *arg),
		     const void *arg);

/* ---- registry_match.c: which entries are whose ---- */

/*
 * Entries of a running domain take the name that it has now. How many did.
 */
size_t registry_follow(struct registry *r, const struct domain *running,
		       size_t n);

/*
 * REGISTRY_OTHERS: more than one remembered domain has its name, and none is
 * running: a person has to say which one it is.
 */
enum registry_match {
	REGISTRY_UNKNOWN,
	REGISTRY_KNOWN,	  /* by its UUID */
	REGISTRY_ADOPTED, /* by its name: the entries have its UUID now */
	REGISTRY_OTHERS,
};

/*
 * Finds the entries of a running domain: those with its UUID; where there are
 * none, those with its name, if the domain that they were of does not run.
 */
enum registry_match registry_match(struct registry *r, const struct domain *d,
				   const struct domain *running, size_t n);

/* ---- registry_file.c ---- */

enum registry_status {
	REGISTRY_OK,
	REGISTRY_BUSY, /* another writer has the lock */
	REGISTRY_BAD,  /* no use of it: see err */
};

/* To read alone. A file that is not there has no entries. */
enum registry_status registry_load(struct registry *r, const char *path,
				   char err[REGISTRY_ERR]);

/*
 * To change it: takes the lock, at most wait_ms, and makes the file's directory
 * where that is missing. registry_close() gives the lock back and frees r.
 */
enum registry_status registry_open(struct registry *r, const char *path,
				   unsigned int wait_ms,
				   char err[REGISTRY_ERR]);
bool registry_save(const struct registry *r, char err[REGISTRY_ERR]);
void registry_close(struct registry *r);

#endif
