/* SPDX-License-Identifier: MIT */
/*
 * registry_file.c - the state file on disk: lock, read, replace (registry.h)
 *
 * Must never write over a file that it could not read, nor leave half of one.
 */
#include "registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_PATH_LEN 4096
#define LOCK_STEP_MS 10

static enum registry_status __attribute__((format(printf, 3, 4)))
bad(char err[REGISTRY_ERR], const char *path, const char *fmt, ...)
{
	int n = snprintf(err, REGISTRY_ERR, "%.200s:", path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err + n, REGISTRY_ERR - n, fmt, ap);
	va_end(ap);
	return REGISTRY_BAD;
}

static enum registry_status failed(char err[REGISTRY_ERR], const char *path)
{
	return bad(err, path, " %s", strerror(errno));
}

/* All of the file in text, malloced. */
static enum registry_status read_all(int fd, const char *path, char **text,
				     size_t *len, char err[REGISTRY_ERR])
{
	ssize_t got;

	*len = 0;
	/* One more than it may have, to see that it has. */
	*text = malloc(REGISTRY_MAX_BYTES + 1);
	if (!*text)
		return bad(err, path, " out of memory");
	while (*len <= REGISTRY_MAX_BYTES) {
		got = read(fd, *text + *len, REGISTRY_MAX_BYTES + 1 - *len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failed(err, path);
		if (!got)
			return REGISTRY_OK;
		*len += got;
	}
	return bad(err, path, " larger than %u octets", REGISTRY_MAX_BYTES);
}

static enum registry_status read_file(struct registry *r, int fd,
				      const char *path, char err[REGISTRY_ERR])
{
	char why[REGISTRY_ERR];
	enum registry_status rc;
	struct stat st;
	char *text;
	size_t len;

	if (fstat(fd, &st))
		return failed(err, path);
	if (!S_ISREG(st.st_mode))
		return bad(err, path, " is no file");
	/* It decides who gets a GPU. */
	if ((st.st_uid && st.st_uid != geteuid()) || st.st_mode & 022)
		return bad(err, path, " others than root may write to it");
	rc = read_all(fd, path, &text, &len, err);
	if (rc == REGISTRY_OK && !registry_parse(r, text, len, why))
		rc = bad(err, path, "%s", why);
	free(text);
	return rc;
}

enum registry_status registry_load(struct registry *r, const char *path,
				   char err[REGISTRY_ERR])
{
	/* What stands there instead must not make us wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum registry_status rc;

	*r = REGISTRY_NONE;
	if (fd < 0)
		return errno == ENOENT ? REGISTRY_OK : failed(err, path);
	rc = read_file(r, fd, path, err);
	close(fd);
	return rc;
}

/* The folder that the file is in. */
static void folder_of(const char *path, char folder[FILE_PATH_LEN])
{
	char *slash;

	snprintf(folder, FILE_PATH_LEN, "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		strcpy(folder, ".");
	else if (slash == folder)
		slash[1] = '\0';
	else
		*slash = '\0';
}

static enum registry_status take_lock(const char *path, unsigned int wait_ms,
				      int *lock, char err[REGISTRY_ERR])
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000l};
	char file[FILE_PATH_LEN];

	snprintf(file, sizeof(file), "%s.lock", path);
	*lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*lock < 0)
		return failed(err, file);
	while (flock(*lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return failed(err, file);
		if (wait_ms < LOCK_STEP_MS) {
			bad(err, file, " another program holds the lock");
			return REGISTRY_BUSY;
		}
		wait_ms -= LOCK_STEP_MS;
		nanosleep(&step, NULL);
	}
	return REGISTRY_OK;
}

enum registry_status registry_open(struct registry *r, const char *path,
				   unsigned int wait_ms, char err[REGISTRY_ERR])
{
	char folder[FILE_PATH_LEN];
	enum registry_status rc;
	int lock = -1;

	*r = REGISTRY_NONE;
	if (strlen(path) + 8 > FILE_PATH_LEN)
		return bad(err, path, " %s", strerror(ENAMETOOLONG));
	folder_of(path, folder);
	if (mkdir(folder, 0700) && errno != EEXIST)
		return failed(err, folder);
	rc = take_lock(path, wait_ms, &lock, err);
	if (rc == REGISTRY_OK)
		rc = registry_load(r, path, err);
	r->lock = lock;
	r->path = rc == REGISTRY_OK ? strdup(path) : NULL;
	if (rc == REGISTRY_OK && !r->path)
		rc = bad(err, path, " out of memory");
	if (rc != REGISTRY_OK)
		registry_close(r);
	return rc;
}

void registry_close(struct registry *r)
{
	if (r->lock >= 0)
		close(r->lock);
	registry_free(r);
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= n;
	}
	return !fsync(fd);
}

/* A new file of that name, on the disk when this returns. */
static bool write_new(const char *file, const char *text, size_t len)
{
	int saved, fd;
	bool ok;

	/* What an interrupted program left: only the lock's holder comes here. */
	unlink(file);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = write_all(fd, text, len);
	saved = errno;
	if (close(fd) && ok) {
		saved = errno;
		ok = false;
	}
	errno = saved;
	return ok;
}

/* A rename is on the disk when the folder is. */
static bool sync_folder(const char *path)
{
	char folder[FILE_PATH_LEN];
	bool ok;
	int fd;

	folder_of(path, folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = !fsync(fd);
	close(fd);
	return ok;
}

bool registry_save(const struct registry *r, char err[REGISTRY_ERR])
{
	char file[FILE_PATH_LEN];
	size_t len;
	char *text = registry_format(r, &len);
	bool ok;

	if (!text || len > REGISTRY_MAX_BYTES) {
		bad(err, r->path,
		    text ? " too many devices to remember" : " out of memory");
		free(text);
		return false;
	}
	snprintf(file, sizeof(file), "%s.new", r->path);
	ok = write_new(file, text, len) && !rename(file, r->path);
	if (!ok) {
		failed(err, r->path);
		unlink(file);
	}
	free(text);
	if (ok && !sync_folder(r->path)) {
		failed(err, r->path);
		ok = false;
	}
	return ok;
}
