/* SPDX-License-Identifier: MIT */
/*
 * rules.h - the schema's rules as C, between the generated table and check.c
 *
 * Owns the form of a rule. rules.c says whether one value obeys one rule; it
 * must never look at xenstore itself.
 */
#ifndef VGPU_SCHEMA_RULES_H
#define VGPU_SCHEMA_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_side { SCHEMA_BACKEND, SCHEMA_FRONTEND, SCHEMA_SIDES };

enum schema_type {
	SCHEMA_STATE, /* min: bit mask of the states that occur */
	SCHEMA_BOOL,
	SCHEMA_UINT, /* min, max: value */
	SCHEMA_PATH, /* words: the side it points to */
	SCHEMA_WORD, /* words: separated by spaces */
	SCHEMA_TEXT, /* min, max: octets */
	SCHEMA_PAIR,
	SCHEMA_LIST, /* words: VGPU_OP_LIST, VGPU_KERNEL_LIST or uint */
	SCHEMA_DIRECTORY,
};

#define SCHEMA_ALWAYS (~0u)

/* Bit n: while that side is in state n. Bit 0: whatever its state is. */
struct schema_when {
	unsigned int backend;
	unsigned int frontend;
};

struct schema_node {
	enum schema_side side;
	const char *name; /* where numbered: what stands before the number */
	bool numbered;
	enum schema_type type;
	uint64_t min, max;
	const char *words;
	struct schema_when required;
	struct schema_when absent;
};

extern const struct schema_node *const schema_node_table;
extern const size_t schema_node_count;

/*
 * The rule for a node, or NULL where the schema knows none. *index is the
 * number in the name of a numbered node.
 */
const struct schema_node *schema_find(enum schema_side side, const char *name,
				      unsigned int *index);

/* Does the condition hold while the two sides are in these states (0 ... 6)? */
bool schema_holds(const struct schema_when *when, unsigned int backend_state,
		  unsigned int frontend_state);

/*
 * NULL where the value (len octets, NULs possible) obeys the rule's type, else
 * what was expected. A path is compared with path, that of the other side.
 */
const char *schema_value_error(const struct schema_node *node,
			       const char *value, size_t len, const char *path);

#endif
