// SPDX-License-Identifier: MIT
/* parse-size.c - see parse-size.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse-size.h"

bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *size)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*size = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (errno || *end || *size > UINT64_MAX >> shift)
		return false;
	*size <<= shift;
	return *size >= min && *size <= max;
}
