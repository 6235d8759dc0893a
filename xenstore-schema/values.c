/* SPDX-License-Identifier: MIT */
/*
 * values.c - see values.h
 *
 * Plain functions without state, for any process and thread.
 */
#include "values.h"

#include <string.h>

bool vgpu_parse_uint(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!len || (len > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)s[i] - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

const char *vgpu_state_name(unsigned int state)
{
	static const char *const name[] = {
		"Unknown",   "Initialising", "InitWait", "Initialised",
		"Connected", "Closing",	     "Closed",
	};

	return name[state < sizeof(name) / sizeof(name[0]) ? state : 0];
}

const char *vgpu_show(char buf[VGPU_SHOW_LEN], const char *s, size_t len)
{
	size_t n = len < VGPU_SHOW_LEN ? len : VGPU_SHOW_LEN - 1;

	for (size_t i = 0; i < n; i++)
		buf[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
	buf[n] = '\0';
	if (n < len)
		memcpy(buf + n - 3, "...", 3);
	return buf;
}
