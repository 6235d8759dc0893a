// SPDX-License-Identifier: MIT
/*
 * guest-exec: runs a command in a bed guest and ends with its status.
 *
 * Runs in dom0, one process per command, any number at once for any guests.
 * The command goes to the guest's agent (agent.c, which says what the lines
 * look like) through the console's pty. What the guest answers is read from
 * the log xenconsoled keeps of its console, never from the pty: so commands
 * run side by side without a process between them, and everything a guest
 * ever said stays in its log. It must never wait past its time limit and must
 * never take another command's lines for its own.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

#define LOG_DIR "/var/log/xen/console"
#define KILL_GRACE_MS 15000 /* for the agent to report a command it killed */

enum { EXIT_TIMEOUT = 124, EXIT_LOST = 125 };

static struct xs_handle *xs;
static const char *guest;
static unsigned int domid;
static int log_fd = -1;

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "guest-exec: %s: ", guest ? guest : "?");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Last resort, for a call that blocks: nothing here outlives its limit. */
static void overdue(int sig)
{
	static const char msg[] = "guest-exec: blocked past its time limit\n";

	(void)sig;
	if (write(2, msg, sizeof(msg) - 1) < 0)
		_exit(EXIT_LOST);
	_exit(EXIT_TIMEOUT);
}

static char *domain_node(unsigned int id, const char *node)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/%s", id, node);
	return xs_read(xs, XBT_NULL, path, NULL);
}

static bool find_guest(void)
{
	unsigned int n = 0;
	char **ids = xs_directory(xs, XBT_NULL, "/local/domain", &n);
	bool found = false;

	for (unsigned int i = 0; i < n && !found; i++) {
		char *name;

		domid = (unsigned int)strtoul(ids[i], NULL, 10);
		name = domain_node(domid, "name");
		found = name && !strcmp(name, guest);
		free(name);
	}
	free(ids);
	return found;
}

static bool guest_gone(void)
{
	char *name = domain_node(domid, "name");

	free(name);
	return !name;
}

/* Writes one line to the guest's console; the lock keeps lines whole. */
static void send_line(const char *line)
{
	char *tty = domain_node(domid, "console/tty");
	size_t len = strlen(line);
	int fd;

	if (!tty)
		die(EXIT_LOST, "no console/tty node in xenstore");
	fd = open(tty, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		die(EXIT_LOST, "cannot open %s: %s", tty, strerror(errno));
	free(tty);
	flock(log_fd, LOCK_EX);
	while (len) {
		ssize_t n = write(fd, line, len);

		if (n < 0 && errno != EINTR)
			die(EXIT_LOST, "cannot write to its console: %s", strerror(errno));
		if (n > 0) {
			line += n;
			len -= (size_t)n;
		}
	}
	flock(log_fd, LOCK_UN);
	close(fd);
}

static void send_command(unsigned int id, const char *cmd)
{
	char *line = malloc(32 + 4 * strlen(cmd) + 2);
	int n;

	if (!line)
		die(EXIT_LOST, "out of memory");
	n = sprintf(line, "run %u ", id);
	for (; *cmd; cmd++) {
		unsigned char c = (unsigned char)*cmd;

		if (c == '\\')
			n += sprintf(line + n, "\\\\");
		else if (c < 0x20 || c == 0x7f)
			n += sprintf(line + n, "\\x%02x", c);
		else
			line[n++] = (char)c;
	}
	strcpy(line + n, "\n");
	send_line(line);
	free(line);
}

/* Prints escaped output text as the command wrote it. */
static void print_text(const char *s)
{
	while (*s) {
		unsigned int c;

		if (s[0] == '\\' && s[1] == '\\') {
			putchar('\\');
			s += 2;
		} else if (sscanf(s, "\\x%2x", &c) == 1) {
			putchar((int)c);
			s += 4;
		} else {
			putchar(*s++);
		}
	}
}

/*
 * One line of the guest's log. With a head of "[ID]" prints what is the
 * command's; returns its exit status once that came, -1 before.
 */
static int log_line(const char *line, const char *head)
{
	size_t n = strlen(head);

	if (strncmp(line, head, n))
		return -1;
	line += n;
	if (!strcmp(head, "[agent] ready"))
		return 0;
	if (line[0] == '=' && line[1] == ' ' && isdigit((unsigned char)line[2]))
		return (int)strtol(line + 2, NULL, 10) & 0xff;
	if (line[0] == ' ') {
		print_text(line + 1);
		putchar('\n');
	} else if (line[0] == '~') {
		print_text(line + 1);
	}
	return -1;
}

/* Reads on in the log; returns the exit status if it was there, else -1. */
static int read_log(const char *head)
{
	static char buf[65536];
	static size_t len;
	ssize_t n;

	while ((n = read(log_fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
		char *nl;

		len += (size_t)n;
		while ((nl = memchr(buf, '\n', len))) {
			size_t used = (size_t)(nl - buf) + 1;
			int status;

			*nl = '\0';
			if (nl > buf && nl[-1] == '\r')
				nl[-1] = '\0';
			status = log_line(buf, head);
			memmove(buf, buf + used, len - used);
			len -= used;
			if (status >= 0)
				return status;
		}
		if (len == sizeof(buf) - 1)
			len = 0;
	}
	fflush(stdout);
	return -1;
}

/* Follows the log until the status, the guest's end or the deadline (-1). */
static int follow(const char *head, int ino, long deadline)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = ino, .events = POLLIN },
				       { .fd = xs_fileno(xs), .events = POLLIN } };
		int status = read_log(head);
		long left = deadline - now_ms();
		char ev[4096];

		if (status >= 0)
			return status;
		if (left <= 0)
			return -1;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			die(EXIT_LOST, "poll: %s", strerror(errno));
		while (read(ino, ev, sizeof(ev)) > 0)
			;
		if (p[1].revents) {
			char **w = xs_check_watch(xs);

			free(w);
			if (w && guest_gone()) {
				status = read_log(head);
				if (status >= 0)
					return status;
				die(EXIT_LOST, "the guest is gone");
			}
		}
	}
}

/* Waits for the log, which xenconsoled makes when it first sees the guest. */
static void open_log(const char *path, int ino, long deadline)
{
	struct pollfd p = { .fd = ino, .events = POLLIN };
	char ev[4096];

	while ((log_fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		long left = deadline - now_ms();

		if (errno != ENOENT || left <= 0)
			die(EXIT_LOST, "cannot open %s: %s", path, strerror(errno));
		if (poll(&p, 1, (int)left) > 0)
			while (read(ino, ev, sizeof(ev)) > 0)
				;
	}
}

static void usage(void)
{
	fputs("usage: guest-exec [-t SECONDS] GUEST COMMAND   run COMMAND in GUEST\n"
	      "       guest-exec [-t SECONDS] -r GUEST        wait until GUEST takes commands\n"
	      "status: the command's; 124 when the time is over (the command is killed);\n"
	      "125 when the guest cannot be reached or goes\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	char path[256], head[32] = "[agent] ready", line[32];
	unsigned int id = (unsigned int)getpid();
	bool ready = false;
	long seconds = 30, deadline;
	int opt, ino, status;

	while ((opt = getopt(argc, argv, "t:r")) != -1) {
		if (opt == 't' && (seconds = strtol(optarg, NULL, 10)) > 0)
			continue;
		if (opt != 'r')
			usage();
		ready = true;
	}
	if (argc - optind != (ready ? 1 : 2))
		usage();
	guest = argv[optind];
	deadline = now_ms() + seconds * 1000;
	signal(SIGALRM, overdue);
	alarm((unsigned int)seconds + KILL_GRACE_MS / 1000 + 2);

	xs = xs_open(0);
	if (!xs || !xs_watch(xs, "@releaseDomain", "gone"))
		die(EXIT_LOST, "no xenstore: %s", strerror(errno));
	if (!find_guest())
		die(EXIT_LOST, "no such guest");
	snprintf(path, sizeof(path), LOG_DIR "/guest-%s.log", guest);
	ino = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (ino < 0 || inotify_add_watch(ino, LOG_DIR, IN_MODIFY | IN_CREATE) < 0)
		die(EXIT_LOST, "inotify: %s", strerror(errno));
	open_log(path, ino, deadline);

	if (ready) {
		if (follow(head, ino, deadline) < 0)
			die(EXIT_TIMEOUT, "not ready within %ld s", seconds);
		return 0;
	}
	lseek(log_fd, 0, SEEK_END);
	snprintf(head, sizeof(head), "[%u]", id);
	send_command(id, argv[optind + 1]);
	status = follow(head, ino, deadline);
	if (status >= 0) {
		fflush(stdout);
		return status;
	}
	snprintf(line, sizeof(line), "kill %u\n", id);
	send_line(line);
	if (follow(head, ino, now_ms() + KILL_GRACE_MS) < 0)
		die(EXIT_TIMEOUT, "no end within %ld s, and the agent does not answer", seconds);
	die(EXIT_TIMEOUT, "killed: no end within %ld s", seconds);
}
