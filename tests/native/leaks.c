// SPDX-License-Identifier: MIT
/*
 * leaks.c - lets LeakSanitizer look at a worker before it ends
 *
 * The worker forbids itself ptrace(2), and LeakSanitizer stops the threads of
 * its own process with it. This is linked into that build alone, in front of
 * libseccomp: all other rules are as they are.
 */
#include <seccomp.h>
#include <stdarg.h>

#define MAX_ARGS 6

int __wrap_seccomp_rule_add(scmp_filter_ctx ctx, uint32_t action, int syscall,
			    unsigned int arg_cnt, ...);

int __wrap_seccomp_rule_add(scmp_filter_ctx ctx, uint32_t action, int syscall,
			    unsigned int arg_cnt, ...)
{
	struct scmp_arg_cmp args[MAX_ARGS];
	va_list ap;

	if (syscall == SCMP_SYS(ptrace))
		return 0;
	va_start(ap, arg_cnt);
	for (unsigned int i = 0; i < arg_cnt && i < MAX_ARGS; i++)
		args[i] = va_arg(ap, struct scmp_arg_cmp);
	va_end(ap);
	return seccomp_rule_add_array(ctx, action, syscall, arg_cnt, args);
}
