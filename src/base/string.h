/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdarg.h>
#include <string.h>

#include "base/macro.h"

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* streq() that takes NULL for "not there", equal only to itself. */
static inline bool streq_null(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

static inline bool isempty(const char *s) {
        return !s || !*s;
}

/* Returns what follows @prefix in @s, or NULL. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Returns the place in @s where @suffix begins, or NULL. */
const char *endswith(const char *s, const char *suffix);

/* NULL-terminated arrays of owned strings. */
void strv_free(char **v);
DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)
size_t strv_length(char *const *v);

/* A command line, or another list of strings that are only read, for the block that it is written in. */
#define ARGV(...) ((char **) (const char *const[]){ __VA_ARGS__, NULL })

/* Appends a copy of @s, or of the printf result; 0 or -ENOMEM with *v as it was. */
int strv_extend(char ***v, const char *s);
int strv_extendf(char ***v, const char *format, ...) _printf_(2, 3);
/* The same for all of @strings (NULL: none), and for each of the arguments until one is NULL: 0, or -ENOMEM with *v longer or not. */
int strv_extend_strv(char ***v, char *const *strings);
#define strv_extend_many(v, ...) strv_extend_strv(v, ARGV(__VA_ARGS__))

/* The value of @name among "NAME=VALUE"s, the last where there are several, or NULL. */
const char *strv_value(char *const *v, const char *name);

/* Sorts by bytes; strv_sort_unique() also frees all but one of those that are the same. */
void strv_sort(char **v);
void strv_sort_unique(char **v);

/* Copies @v (NULL stays NULL) to *ret, for strv_free(); 0 or -ENOMEM. */
int strv_copy(char *const *v, char ***ret);

/* printf into a new string, to be freed: 0, or -ENOMEM with *ret as it was. What *ret had before is not freed. */
int string_printf(char **ret, const char *format, ...) _printf_(2, 3);
int string_vprintf(char **ret, const char *format, va_list ap) _printf_(2, 0);

/* Replaces *target by a copy of @s (NULL: by NULL). Returns 0, or -ENOMEM with *target untouched. */
int string_replace(char **target, const char *s);

/* Parses a whole decimal number without sign or blanks: 0, -EINVAL, or -ERANGE. */
int parse_uint64(const char *s, uint64_t *ret);

/* The number of single-character edits that make @b of @a; SIZE_MAX when memory ran out. */
size_t edit_distance(const char *a, const char *b);

/* Finds the candidate that someone who typed @typed may have meant: returns its index, or -1 when nothing is near.
 * @name yields candidate @i of @userdata, NULL after the last. */
int nearest_name(const char *typed, const char *(*name)(const void *userdata, size_t i), const void *userdata);

/* "1.5G": for people; exact bytes belong into JSON. Returns @ret. */
#define FORMAT_BYTES_MAX 16
const char *format_bytes(uint64_t bytes, char ret[static FORMAT_BYTES_MAX]);
