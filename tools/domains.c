/* SPDX-License-Identifier: MIT */
/*
 * domains.c - see domains.h
 */
#include "domains.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>

#include "values.h"

bool domain_parse_id(const char *text, unsigned int *domid)
{
	uint64_t v;

	if (!vgpu_parse_uint(text, strlen(text), DOMID_FIRST_RESERVED - 1, &v))
		return false;
	*domid = v;
	return true;
}

bool domain_parse_uuid(const char *text, char uuid[DOMAIN_UUID_LEN])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	uuid[0] = '\0';
	for (i = 0; form[i]; i++)
		if (form[i] == '-' ? text[i] != '-' :
				     !isxdigit((unsigned char)text[i]))
			return false;
	if (text[i])
		return false;
	for (i = 0; form[i]; i++)
		uuid[i] = tolower((unsigned char)text[i]);
	uuid[i] = '\0';
	return true;
}

unsigned int domain_self(struct xs_handle *xs)
{
	char *text = xs_read(xs, XBT_NULL, "domid", NULL);
	unsigned int domid;

	/* Only dom0 may lack the node. */
	if (!text || !domain_parse_id(text, &domid))
		domid = 0;
	free(text);
	return domid;
}

static char *read_node(struct xs_handle *xs, unsigned int domid,
		       const char *node)
{
	char path[DOMAIN_PATH_LEN];

	snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, node);
	return xs_read(xs, XBT_NULL, path, NULL);
}

void domain_read(struct xs_handle *xs, unsigned int domid, struct domain *d)
{
	static const char dir[] = "/vm/";
	char *vm = read_node(xs, domid, "vm");
	char *name = read_node(xs, domid, "name");

	*d = (struct domain){.id = domid};
	/* Domain-0's is all zeros, which is no UUID. */
	if (!vm || strncmp(vm, dir, strlen(dir)) ||
	    !domain_parse_uuid(vm + strlen(dir), d->uuid) ||
	    !d->uuid[strspn(d->uuid, "0-")])
		d->uuid[0] = '\0';
	/* One that is too long is as good as none: never another's. */
	if (name && strlen(name) < sizeof(d->name))
		strcpy(d->name, name);
	free(vm);
	free(name);
}

unsigned int *domain_ids(struct xs_handle *xs, size_t *n)
{
	unsigned int entries;
	char **names = xs_directory(xs, XBT_NULL, "/local/domain", &entries);
	unsigned int *ids;

	*n = 0;
	if (!names)
		return NULL;
	ids = calloc(entries + 1, sizeof(*ids));
	for (unsigned int i = 0; ids && i < entries; i++)
		if (domain_parse_id(names[i], &ids[*n]))
			++*n;
	free(names);
	return ids;
}

struct domain *domain_list(struct xs_handle *xs, size_t *n)
{
	unsigned int *ids = domain_ids(xs, n);
	struct domain *list = ids ? calloc(*n + 1, sizeof(*list)) : NULL;

	for (size_t i = 0; list && i < *n; i++)
		domain_read(xs, ids[i], &list[i]);
	free(ids);
	return list;
}

bool domain_find(struct xs_handle *xs, const char *text, unsigned int *domid)
{
	struct domain *list;
	bool found = false;
	size_t n;

	if (domain_parse_id(text, domid))
		return true;
	list = domain_list(xs, &n);
	for (size_t i = 0; list && i < n && !found; i++) {
		found = *text && !strcmp(list[i].name, text);
		*domid = list[i].id;
	}
	free(list);
	return found;
}
