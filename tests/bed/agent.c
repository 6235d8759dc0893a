// SPDX-License-Identifier: MIT
/*
 * The agent of a bed guest: runs commands for dom0 over the guest's console.
 *
 * Runs in the guest as process 1, in one thread; owns /dev/hvc0 and is its
 * only writer once it runs: it takes the kernel's messages away from the
 * console and sends them on itself, so nothing is ever mixed into its lines.
 * (A kernel panic still reaches the console, as raw text.) It must never wait
 * for a command and never die of what it reads: process 1 takes the guest
 * with it.
 *
 * In, one line each:      run ID COMMAND      kill ID
 * Out, one line each:
 *   [agent] ready ...     once, when commands are taken
 *   [ID]$ COMMAND         the command starts
 *   [ID] TEXT             one line of its output, stdout and stderr together
 *   [ID]~TEXT             the same, but no newline followed (yet)
 *   [ID]= STATUS          it ended: exit status, or 128 + signal
 *   [k] <LEVEL> SECS TEXT one line of the kernel's log
 * ID is a decimal number the sender picks, unique for the guest's life.
 * COMMAND and TEXT write \\ for a backslash and \xHH for a control character.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 32
#define MAX_INPUT 65536 /* longest input line */
#define MAX_TEXT 1024   /* longest text of one output line, before escaping */

struct job {
	bool used;
	unsigned int id;
	pid_t pid;
	int out;
	size_t len;
	char line[MAX_TEXT];
};

static struct job jobs[MAX_JOBS];
static int tty = -1;

static void put(const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(tty, buf, len);

		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return;
		}
		buf += n;
		len -= (size_t)n;
	}
}

/* One output line: head, then text with everything unprintable escaped. */
static void emit(const char *head, const char *text, size_t len)
{
	static char buf[128 + 4 * MAX_INPUT];
	size_t n = (size_t)snprintf(buf, 128, "%s", head);

	for (size_t i = 0; i < len && n < sizeof(buf) - 8; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\')
			n += (size_t)sprintf(buf + n, "\\\\");
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			n += (size_t)sprintf(buf + n, "\\x%02x", c);
		else
			buf[n++] = (char)c;
	}
	buf[n++] = '\n';
	put(buf, n);
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit("[agent] ", text, strlen(text));
}

static void job_emit(struct job *j, char mark, const char *text, size_t len)
{
	char head[32];

	snprintf(head, sizeof(head), "[%u]%c", j->id, mark);
	emit(head, text, len);
}

static void job_text(struct job *j, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\n') {
			job_emit(j, ' ', j->line, j->len);
			j->len = 0;
			continue;
		}
		j->line[j->len++] = buf[i];
		if (j->len == sizeof(j->line)) {
			job_emit(j, '~', j->line, j->len);
			j->len = 0;
		}
	}
}

/* Reads what the job's pipe holds now; false at its end. */
static bool job_read(struct job *j)
{
	char buf[4096];
	ssize_t n = read(j->out, buf, sizeof(buf));

	if (n > 0)
		job_text(j, buf, (size_t)n);
	return n > 0;
}

static void put_status(unsigned int id, int status)
{
	char head[32];

	snprintf(head, sizeof(head), "[%u]= %d", id, status);
	emit(head, "", 0);
}

static void job_exited(struct job *j, int status)
{
	while (job_read(j))
		;
	if (j->len)
		job_emit(j, '~', j->line, j->len);
	put_status(j->id, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	if (j->out >= 0)
		close(j->out);
	j->used = false;
}

static struct job *job_find(unsigned int id)
{
	for (int i = 0; i < MAX_JOBS; i++)
		if (jobs[i].used && jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

static void job_start(unsigned int id, const char *cmd)
{
	struct job *j = NULL;
	int pipefd[2];

	for (int i = 0; i < MAX_JOBS && !j; i++)
		if (!jobs[i].used)
			j = &jobs[i];
	if (!j || job_find(id) || pipe2(pipefd, O_CLOEXEC)) {
		say("no room for command %u", id);
		put_status(id, 126);
		return;
	}
	memset(j, 0, sizeof(*j));
	j->id = id;
	job_emit(j, '$', cmd, strlen(cmd));
	j->pid = fork();
	if (j->pid == 0) {
		sigset_t none;
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, 0);
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	close(pipefd[1]);
	j->out = pipefd[0];
	fcntl(j->out, F_SETFL, O_NONBLOCK);
	j->used = true;
	if (j->pid < 0)
		job_exited(j, 126 << 8);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_JOBS; i++)
			if (jobs[i].used && jobs[i].pid == pid)
				job_exited(&jobs[i], status);
}

static int hex(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void unescape(char *s)
{
	char *d = s;

	while (*s) {
		if (s[0] == '\\' && s[1] == '\\') {
			*d++ = '\\';
			s += 2;
		} else if (s[0] == '\\' && s[1] == 'x' && hex(s[2]) >= 0 && hex(s[3]) >= 0) {
			*d++ = (char)(hex(s[2]) << 4 | hex(s[3]));
			s += 4;
		} else {
			*d++ = *s++;
		}
	}
	*d = '\0';
}

static void input_line(char *line)
{
	unsigned int id;
	int at = 0;

	if (sscanf(line, "run %u %n", &id, &at) == 1 && at > 0 && line[at]) {
		unescape(line + at);
		job_start(id, line + at);
	} else if (sscanf(line, "kill %u", &id) == 1) {
		struct job *j = job_find(id);

		if (j)
			kill(-j->pid, SIGKILL);
	} else if (*line) {
		say("not understood: %.80s", line);
	}
}

static void input(void)
{
	static char buf[MAX_INPUT];
	static size_t len;
	ssize_t n = read(tty, buf + len, sizeof(buf) - 1 - len);
	char *nl;

	if (n <= 0)
		return;
	len += (size_t)n;
	while ((nl = memchr(buf, '\n', len))) {
		size_t used = (size_t)(nl - buf) + 1;

		*nl = '\0';
		input_line(buf);
		memmove(buf, buf + used, len - used);
		len -= used;
	}
	if (len == sizeof(buf) - 1) {
		say("input line too long, dropped");
		len = 0;
	}
}

/* Passes one record of /dev/kmsg on: "prio,seq,usecs,flags;text\n key=value..." */
static void kernel_message(int kmsg, uint64_t start_us)
{
	char rec[8192], head[64];
	unsigned int prio;
	unsigned long long usecs;
	char *text, *end;
	ssize_t n = read(kmsg, rec, sizeof(rec) - 1);

	if (n <= 0)
		return;
	rec[n] = '\0';
	text = strchr(rec, ';');
	if (!text || sscanf(rec, "%u,%*u,%llu", &prio, &usecs) != 2)
		return;
	text++;
	end = strchr(text, '\n');
	if (end)
		*end = '\0';
	/* What booting says is left out, unless it is a warning or worse. */
	if (usecs < start_us && (prio & 7) > 4)
		return;
	snprintf(head, sizeof(head), "[k] <%u> %llu.%06llu ", prio & 7, usecs / 1000000,
		 usecs % 1000000);
	emit(head, text, strlen(text));
}

static int open_tty(void)
{
	struct termios t;
	int fd = open("/dev/hvc0", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &t))
		return -1;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t))
		return -1;
	return fd;
}

int main(void)
{
	struct pollfd pfd[3 + MAX_JOBS];
	struct timespec now;
	struct utsname un;
	uint64_t start_us;
	sigset_t chld;
	int sig, kmsg;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sig = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	tty = open_tty();
	if (sig < 0 || kmsg < 0 || tty < 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	start_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	klogctl(8, NULL, 1); /* SYSLOG_ACTION_CONSOLE_LEVEL: panics only */
	uname(&un);
	say("ready, Linux %s", un.release);

	for (;;) {
		nfds_t n = 0;

		pfd[n++] = (struct pollfd){ .fd = tty, .events = POLLIN };
		pfd[n++] = (struct pollfd){ .fd = sig, .events = POLLIN };
		pfd[n++] = (struct pollfd){ .fd = kmsg, .events = POLLIN };
		for (int i = 0; i < MAX_JOBS; i++)
			pfd[n++] = (struct pollfd){ .fd = jobs[i].used ? jobs[i].out : -1,
						    .events = POLLIN };
		if (poll(pfd, n, -1) < 0)
			continue;
		for (int i = 0; i < MAX_JOBS; i++) {
			struct job *j = &jobs[i];

			if (!(pfd[3 + i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			if (!job_read(j) && (pfd[3 + i].revents & POLLHUP)) {
				close(j->out); /* ended; its exit is still to come */
				j->out = -1;
			}
		}
		if (pfd[1].revents) {
			struct signalfd_siginfo si;

			while (read(sig, &si, sizeof(si)) > 0)
				;
			reap();
		}
		if (pfd[2].revents)
			kernel_message(kmsg, start_us);
		if (pfd[0].revents)
			input();
	}
}
