// SPDX-License-Identifier: MIT
/*
 * confine.c - drops privileges and system calls of a worker (see confine.h)
 *
 * Run once by the worker's thread: confine_privileges() after the Xen devices
 * are open, confine_syscalls() after the engine is open and before the first
 * page of the guest is mapped.
 *
 * The filter is a list of what is forbidden, not of what is allowed. The CUDA
 * driver is a closed library whose calls differ by version (ioctl numbers,
 * clone flavours, eventfd, memfd, sched_*, sysfs reads, late thread creation):
 * an allow list that fits one version kills honest workers of the next. What
 * guards the files of the host is the unprivileged user; the filter takes away
 * what a taken-over worker would reach for next.
 */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static bool fail(char *why, size_t size, const char *what, int err)
{
	snprintf(why, size, "%s: %s", what, strerror(err));
	return false;
}

static bool become_user(char *why, size_t size)
{
	const struct passwd *pw;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	pw = getpwnam(CONFINE_USER);
	if (!pw) {
		log_event(LOG_WARN, "confine",
			  F_STR("msg",
				"no user " CONFINE_USER ": worker stays root"));
		return true;
	}
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	/* The groups the administrator gave it, for the GPU's device nodes. */
	if (initgroups(CONFINE_USER, gid))
		return fail(why, size, "initgroups", errno);
	if (setresgid(gid, gid, gid))
		return fail(why, size, "setresgid", errno);
	if (setresuid(uid, uid, uid))
		return fail(why, size, "setresuid", errno);
	return true;
}

bool confine_privileges(pid_t parent, char *why, size_t size)
{
	const struct rlimit no_core = {0, 0};

	if (setrlimit(RLIMIT_CORE, &no_core))
		return fail(why, size, "setrlimit", errno);
	if (!become_user(why, size))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(why, size, "no_new_privs", errno);
	/* A change of user clears this one, so it comes after that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return fail(why, size, "pdeathsig", errno);
	if (getppid() != parent)
		return fail(why, size, "supervisor", ESRCH);
	return true;
}

/* No library calls these on behalf of honest work: whoever does is killed. */
static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(open_tree),
	SCMP_SYS(move_mount),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(bpf),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setgroups),
};

/* Libraries try these and live without: they fail. */
static const int denied[] = {
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(syslog),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(chown),
	SCMP_SYS(fchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(lchown),
	SCMP_SYS(tkill),
	SCMP_SYS(pidfd_send_signal),
};

/*
 * All workers are one user, and one user's processes may signal each other: a
 * worker that a guest has taken over must not end those of other guests.
 */
static int keep_to_ourselves(scmp_filter_ctx ctx)
{
	const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
	const struct scmp_arg_cmp other = SCMP_A0(SCMP_CMP_NE, getpid());
	int rc;

	rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(kill), 1, other);
	if (!rc)
		rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(tgkill), 1, other);
	if (!rc)
		rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(rt_sigqueueinfo), 1,
				      other);
	if (!rc)
		rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(rt_tgsigqueueinfo),
				      1, other);
	/* Setting limits, of somebody else. */
	if (!rc)
		rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(prlimit64), 2,
				      SCMP_A0(SCMP_CMP_NE, 0),
				      SCMP_A2(SCMP_CMP_NE, 0));
	return rc;
}

/* None, but of the family that leads to an engine elsewhere. */
static int limit_sockets(scmp_filter_ctx ctx, int family)
{
	const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
	int rc;

	if (family != AF_UNSPEC)
		return seccomp_rule_add(ctx, eperm, SCMP_SYS(socket), 1,
					SCMP_A0(SCMP_CMP_NE, family));
	rc = seccomp_rule_add(ctx, eperm, SCMP_SYS(socket), 0);
	return rc ? rc : seccomp_rule_add(ctx, eperm, SCMP_SYS(connect), 0);
}

/* unshare() by another name. A filter cannot see the flags of clone3(). */
static int no_namespaces(scmp_filter_ctx ctx)
{
	int rc = seccomp_rule_add(
		ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));

	/* Libraries then use clone(). */
	return rc ? rc :
		    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
				     SCMP_SYS(clone3), 0);
}

static int add_list(scmp_filter_ctx ctx, uint32_t action, const int *calls,
		    size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = seccomp_rule_add(ctx, action, calls[i], 0);
	return rc;
}

#define ADD_LIST(ctx, action, list)                                            \
	add_list(ctx, action, list, sizeof(list) / sizeof(*(list)))

static int add_rules(scmp_filter_ctx ctx, int family)
{
	int rc = ADD_LIST(ctx, SCMP_ACT_KILL_PROCESS, deadly);

	if (!rc)
		rc = ADD_LIST(ctx, SCMP_ACT_ERRNO(EPERM), denied);
	if (!rc)
		rc = limit_sockets(ctx, family);
	if (!rc)
		rc = keep_to_ourselves(ctx);
	if (!rc)
		rc = no_namespaces(ctx);
	/* The engine has threads already: the filter is for all of them. */
	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	return rc ? rc : seccomp_load(ctx);
}

bool confine_syscalls(int family, char *why, size_t size)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!ctx)
		return fail(why, size, "seccomp", ENOMEM);
	rc = add_rules(ctx, family);
	seccomp_release(ctx);
	return rc ? fail(why, size, "seccomp", -rc) : true;
}
