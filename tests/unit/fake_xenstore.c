/* SPDX-License-Identifier: MIT */
/*
 * fake_xenstore.c - see fake_xenstore.h
 *
 * The store is a table of nodes. A transaction copies the table; ending it
 * keeps the copy or throws it away. The file descriptor of a handle is an
 * eventfd that is readable while watch events wait.
 */
#include "fake_xenstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_NODES 512
#define MAX_PERMS 4
#define MAX_WATCHES 8
#define MAX_EVENTS 512
#define XS_PATH_LEN 160

struct fake_node {
	char path[XS_PATH_LEN];
	char *value;
	struct xs_permissions perm[MAX_PERMS];
	unsigned int perms;
};

struct fake_store {
	struct fake_node node[MAX_NODES];
	unsigned int n;
};

struct xs_handle {
	int fd;
};

static struct fake_store live, shadow;
static bool in_transaction;
static unsigned int self;
static struct {
	char path[XS_PATH_LEN];
	char token[32];
} watch[MAX_WATCHES], event[MAX_EVENTS];
static unsigned int watches, events;
static char changed[MAX_EVENTS][XS_PATH_LEN];
static unsigned int changes;
static struct xs_handle handle = {.fd = -1};
static bool peer_runs;

unsigned int fake_xs_conflicts;
unsigned int fake_xs_reads;
const char *fake_xs_denied;
int fake_xs_errno;
void (*fake_xs_peer)(void);

static struct fake_store *store(xs_transaction_t t)
{
	return t ? &shadow : &live;
}

static struct fake_node *find(struct fake_store *s, const char *path)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (!strcmp(s->node[i].path, path))
			return &s->node[i];
	return NULL;
}

static bool below(const char *path, const char *parent)
{
	size_t len = strlen(parent);

	return !strncmp(path, parent, len) &&
	       (path[len] == '/' || path[len] == '\0');
}

static void drop(struct fake_store *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		free(s->node[i].value);
	s->n = 0;
}

static void copy(struct fake_store *to, const struct fake_store *from)
{
	drop(to);
	*to = *from;
	for (unsigned int i = 0; i < to->n; i++)
		to->node[i].value = strdup(from->node[i].value);
}

static const char *absolute(char buf[XS_PATH_LEN], const char *path)
{
	if (path[0] == '/' || path[0] == '@')
		snprintf(buf, XS_PATH_LEN, "%s", path);
	else
		snprintf(buf, XS_PATH_LEN, "/local/domain/%u/%s", self, path);
	return buf;
}

static bool denied(const char *path)
{
	if (!fake_xs_denied || strcmp(path, fake_xs_denied))
		return false;
	errno = EACCES;
	return true;
}

static struct fake_node *make(struct fake_store *s, const char *path)
{
	struct fake_node *node = find(s, path), *parent = NULL;
	char up[XS_PATH_LEN];
	char *slash;

	if (node)
		return node;
	snprintf(up, sizeof(up), "%s", path);
	slash = strrchr(up, '/');
	if (slash && slash != up) {
		*slash = '\0';
		parent = make(s, up);
	}
	if (s->n == MAX_NODES)
		abort();
	node = &s->node[s->n++];
	memset(node, 0, sizeof(*node));
	snprintf(node->path, sizeof(node->path), "%s", path);
	node->value = strdup("");
	node->perms = 1;
	if (parent) {
		memcpy(node->perm, parent->perm, sizeof(node->perm));
		node->perms = parent->perms;
	}
	return node;
}

static void wake(void)
{
	uint64_t one = 1;

	if (handle.fd >= 0 && write(handle.fd, &one, sizeof(one)) < 0)
		abort();
}

static void fire(const char *path)
{
	for (unsigned int i = 0; i < watches; i++) {
		if (!below(path, watch[i].path) && !below(watch[i].path, path))
			continue;
		if (events == MAX_EVENTS)
			abort();
		event[events] = watch[i];
		snprintf(event[events++].path, XS_PATH_LEN, "%s", path);
		wake();
	}
}

static void run_peer(void)
{
	if (!fake_xs_peer || peer_runs)
		return;
	peer_runs = true;
	fake_xs_peer();
	peer_runs = false;
}

static void touched(xs_transaction_t t, const char *path)
{
	if (t) {
		if (changes == MAX_EVENTS)
			abort();
		snprintf(changed[changes++], XS_PATH_LEN, "%s", path);
		return;
	}
	fire(path);
	run_peer();
}

static void set_value(struct fake_node *node, const void *data, size_t len)
{
	free(node->value);
	node->value = strndup(data, len);
}

static bool remove_tree(struct fake_store *s, const char *path)
{
	bool found = false;

	for (unsigned int i = 0; i < s->n;) {
		if (!below(s->node[i].path, path)) {
			i++;
			continue;
		}
		found = true;
		free(s->node[i].value);
		memmove(&s->node[i], &s->node[i + 1],
			(s->n - i - 1) * sizeof(s->node[0]));
		s->n--;
	}
	return found;
}

static void parse_perms(struct fake_node *node, const char *perms)
{
	node->perms = 0;
	while (*perms && node->perms < MAX_PERMS) {
		struct xs_permissions *p = &node->perm[node->perms++];
		char *end;

		p->perms = *perms == 'r' ? XS_PERM_READ :
			   *perms == 'w' ? XS_PERM_WRITE :
			   *perms == 'b' ? XS_PERM_READ | XS_PERM_WRITE :
					   XS_PERM_NONE;
		p->id = strtoul(perms + 1, &end, 10);
		perms = *end == ',' ? end + 1 : end;
	}
}

void fake_xs_reset(unsigned int own_domid)
{
	char path[XS_PATH_LEN], id[16];

	drop(&live);
	drop(&shadow);
	in_transaction = false;
	watches = events = changes = 0;
	fake_xs_conflicts = 0;
	fake_xs_denied = NULL;
	fake_xs_errno = 0;
	fake_xs_peer = NULL;
	self = own_domid;
	snprintf(id, sizeof(id), "%u", self);
	fake_xs_set(absolute(path, "domid"), id, NULL);
}

void fake_xs_set(const char *path, const char *value, const char *perms)
{
	struct fake_node *node = make(&live, path);

	set_value(node, value, strlen(value));
	if (perms)
		parse_perms(node, perms);
	touched(0, path);
}

void fake_xs_del(const char *path)
{
	remove_tree(&live, path);
	touched(0, path);
}

void fake_xs_perms(const char *path, const char *perms)
{
	parse_perms(find(&live, path), perms);
}

const char *fake_xs_get(const char *path)
{
	struct fake_node *node = find(&live, path);

	return node ? node->value : NULL;
}

const char *fake_xs_get_perms(const char *path)
{
	struct fake_node *node = find(&live, path);
	static char buf[64];
	size_t len = 0;

	for (unsigned int i = 0; node && i < node->perms; i++)
		len += snprintf(buf + len, sizeof(buf) - len, "%s%c%u",
				i ? "," : "", "nrwb"[node->perm[i].perms],
				node -> perm[i].id);
	return node ? buf : NULL;
}

unsigned int fake_xs_count(const char *path)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < live.n; i++)
		n += below(live.node[i].path, path);
	return n;
}

struct xs_handle *xs_open(unsigned long flags)
{
	(void)flags;
	if (handle.fd < 0)
		handle.fd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	return &handle;
}

void xs_close(struct xs_handle *h)
{
	(void)h;
	watches = events = 0;
	if (handle.fd >= 0)
		close(handle.fd);
	handle.fd = -1;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
	      unsigned int *len)
{
	char buf[XS_PATH_LEN];
	struct fake_node *node = find(store(t), absolute(buf, path));

	(void)h;
	fake_xs_reads++;
	if (denied(buf))
		return NULL;
	if (!node) {
		errno = ENOENT;
		return NULL;
	}
	if (len)
		*len = strlen(node->value);
	return strdup(node->value);
}

/* One block: the pointers, then the names, as libxenstore returns it. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path,
		    unsigned int *num)
{
	char buf[XS_PATH_LEN];
	size_t len = strlen(absolute(buf, path));
	struct fake_store *s = store(t);
	char **names = calloc(MAX_NODES, sizeof(char *) + XS_PATH_LEN);
	char *text = (char *)(names + MAX_NODES);

	(void)h;
	*num = 0;
	if (fake_xs_errno || !find(s, buf)) {
		free(names);
		errno = fake_xs_errno ? fake_xs_errno : ENOENT;
		return NULL;
	}
	for (unsigned int i = 0; i < s->n; i++) {
		const char *sub = s->node[i].path;

		if (strncmp(sub, buf, len) || sub[len] != '/' ||
		    strchr(sub + len + 1, '/'))
			continue;
		names[*num] = strcpy(text + *num * XS_PATH_LEN, sub + len + 1);
		++*num;
	}
	return names;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
	      const void *data, unsigned int len)
{
	char buf[XS_PATH_LEN];

	(void)h;
	if (denied(absolute(buf, path)))
		return false;
	set_value(make(store(t), buf), data, len);
	touched(t, buf);
	return true;
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	char buf[XS_PATH_LEN];

	(void)h;
	make(store(t), absolute(buf, path));
	touched(t, buf);
	return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	char buf[XS_PATH_LEN];

	(void)h;
	if (!remove_tree(store(t), absolute(buf, path))) {
		errno = ENOENT;
		return false;
	}
	touched(t, buf);
	return true;
}

struct xs_permissions *xs_get_permissions(struct xs_handle *h,
					  xs_transaction_t t, const char *path,
					  unsigned int *num)
{
	struct fake_node *node = find(store(t), path);
	struct xs_permissions *perm;

	(void)h;
	if (!node)
		return NULL;
	perm = malloc(sizeof(node->perm));
	memcpy(perm, node->perm, sizeof(node->perm));
	*num = node->perms;
	return perm;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t,
			const char *path, struct xs_permissions *perms,
			unsigned int num_perms)
{
	struct fake_node *node = find(store(t), path);

	(void)h;
	if (!node || num_perms > MAX_PERMS)
		return false;
	memcpy(node->perm, perms, num_perms * sizeof(*perms));
	node->perms = num_perms;
	return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	(void)h;
	if (in_transaction)
		abort();
	in_transaction = true;
	changes = 0;
	copy(&shadow, &live);
	return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	(void)h;
	(void)t;
	in_transaction = false;
	if (abort)
		return true;
	if (fake_xs_conflicts) {
		fake_xs_conflicts--;
		errno = EAGAIN;
		return false;
	}
	copy(&live, &shadow);
	for (unsigned int i = 0; i < changes; i++)
		fire(changed[i]);
	run_peer();
	return true;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	(void)h;
	if (watches == MAX_WATCHES)
		return false;
	absolute(watch[watches].path, path);
	snprintf(watch[watches].token, sizeof(watch[0].token), "%s", token);
	watches++;
	fire(watch[watches - 1].path);
	return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	(void)h;
	for (unsigned int i = 0; i < watches; i++) {
		if (strcmp(watch[i].path, path) ||
		    strcmp(watch[i].token, token))
			continue;
		watch[i] = watch[--watches];
		return true;
	}
	errno = ENOENT;
	return false;
}

int xs_fileno(struct xs_handle *h)
{
	run_peer();
	return h->fd;
}

char **xs_check_watch(struct xs_handle *h)
{
	char **ret;
	char *text;
	uint64_t v;

	if (!events) {
		errno = EAGAIN;
		return NULL;
	}
	if (read(h->fd, &v, sizeof(v)) < 0)
		abort();
	ret = malloc(2 * sizeof(char *) + sizeof(event[0]));
	text = (char *)(ret + 2);
	ret[XS_WATCH_PATH] = strcpy(text, event[0].path);
	ret[XS_WATCH_TOKEN] = strcpy(text + XS_PATH_LEN, event[0].token);
	memmove(&event[0], &event[1], --events * sizeof(event[0]));
	return ret;
}
