/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* CI/CD variables of a job or a pipeline: a list with an order, in which a later value of the same name replaces the
 * earlier one. */
typedef struct Variable {
        const char *key, *value;
        bool raw;     /* "expand: false": its value is never expanded */
        bool file;    /* a job sees the path of a file with this content */
        bool masked;  /* logs do not show its value */
        bool private; /* of a job that runs: its services do not get it */
} Variable;

typedef struct Variables {
        Arena *arena;
        Variable *items;
        size_t n;
        uint32_t *index; /* hash table of places in @items, plus 1 */
        size_t index_size;
} Variables;

/* These set variables: one that is there is replaced in its place, others are appended. The strings are not copied and
 * must live as long as the list. */
void variables_set(Variables *variables, const Variable *variable);
void variables_set_text(Variables *variables, const char *key, const char *value);
void variables_set_all(Variables *variables, const Variables *from);

/* Finds the variable named @key; NULL: there is none. It belongs to the list and is valid until the list changes. */
const Variable *variables_find(const Variables *variables, const char *key);
/* Returns the value of the variable named @key; NULL: there is none. */
const char *variables_get(const Variables *variables, const char *key);

/* Replaces $NAME, ${NAME} and %NAME% in @text once, without looking into the values, as GitLab does in texts such as
 * globs, paths and names: "$$NAME" is a "$" before the value. With @keep_unknown, references to unknown variables stay;
 * otherwise they are removed. */
const char *variables_expand(const Variables *variables, const char *text, bool keep_unknown);

/* Makes a list of the same variables with expanded values, also through variables that refer to variables. "$$" and
 * "%%" stay as they are, for the runner. References to variables that are raw or files stay, too, unless @all. Returns
 * 0, or -ELOOP with the names of the variables that refer to each other in *reterr_names ("A, B"). */
int variables_expand_nested(const Variables *variables, bool all, Variables *ret, const char **reterr_names);

/* Makes GitLab's slug of @text: lower case letters and digits, "-" for everything else, at most 63 characters, without
 * "-" at the ends. */
const char *variable_slug(Arena *arena, const char *text);

/* Makes a name for hosts of the name of an environment, as GitLab's CI_ENVIRONMENT_SLUG. */
const char *environment_slug(Arena *arena, const char *name);

/* Returns what CI_ENVIRONMENT_TIER is for an environment of that name, where the configuration does not say it. Static. */
const char *environment_tier(const char *name);
