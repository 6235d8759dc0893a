/* SPDX-License-Identifier: MIT */
/* parse-size.h - numbers of bytes, as people write them */
#ifndef PARSE_SIZE_H
#define PARSE_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "5", "64K", "1M", "2G", each from min to max. Says nothing where it is none of
 * these, and size is not to be used then.
 */
bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *size);

#endif /* PARSE_SIZE_H */
