// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_parse.c - reading what another domain wrote into xenstore
 *
 * See vgpufront_parse.h. Runs in the xenwatch thread, or in a test. Must never
 * accept what the protocol forbids: a lenient parser hides a broken peer.
 */
#include "vgpufront_parse.h"

#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

bool vgpufront_parse_u64(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		unsigned int digit = (unsigned char)*s - '0';

		if (digit > 9 || n > max / 10 || digit > max - n * 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;

	return true;
}

bool vgpufront_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;;) {
		size_t n = strcspn(list, " ");

		if (n == len && !memcmp(list, word, len))
			return true;
		if (!list[n])
			return false;
		list += n + 1;
	}
}

void vgpufront_copy_text(char *dst, size_t size, const char *src)
{
	size_t i;

	memset(dst, 0, size);
	for (i = 0; i + 1 < size && src[i]; i++)
		dst[i] = src[i] >= ' ' && src[i] <= '~' ? src[i] : '?';
}
