/* SPDX-License-Identifier: MIT */
/*
 * domains.h - who a domain is: id, name and UUID, as xenstore knows them
 *
 * For programs of the toolstack's domain, one thread each. Reads only. These
 * nodes are the toolstack's: no guest can write another's, or its own.
 */
#ifndef VGPU_DOMAINS_H
#define VGPU_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include <xenstore.h>

#define DOMAIN_NAME_LEN 256
#define DOMAIN_UUID_LEN 37
/* Longest path of a domain's or device's directory, and a NUL. */
#define DOMAIN_PATH_LEN 128

/* A domain id as text. */
bool domain_parse_id(const char *text, unsigned int *domid);

/* 01234567-89ab-cdef-0123-456789abcdef; becomes lower case. */
bool domain_parse_uuid(const char *text, char uuid[DOMAIN_UUID_LEN]);

/* The domain we run in. */
unsigned int domain_self(struct xs_handle *xs);

/* @uuid, @name: "" where xenstore has none (yet) */
struct domain {
	unsigned int id;
	char uuid[DOMAIN_UUID_LEN];
	char name[DOMAIN_NAME_LEN];
};

/* What xenstore says of one domain. */
void domain_read(struct xs_handle *xs, unsigned int domid, struct domain *d);

/*
 * A domain by id or name. An id need not exist (its nodes may have been left
 * behind). False where a name is unknown.
 */
bool domain_find(struct xs_handle *xs, const char *text, unsigned int *domid);

/*
 * All domains that have a directory, malloced; n of them. NULL with errno where
 * there was no answer.
 */
struct domain *domain_list(struct xs_handle *xs, size_t *n);
/* The same, but the ids alone. */
unsigned int *domain_ids(struct xs_handle *xs, size_t *n);

#endif
