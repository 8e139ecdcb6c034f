/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdarg.h>
#include <string.h>

#include "base/macro.h"

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* The same for strings that may be NULL; NULL equals only NULL. */
static inline bool streq_null(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

static inline bool isempty(const char *s) {
        return !s || !*s;
}

/* What follows @prefix in @s; NULL: @s does not begin with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Where @suffix begins in @s; NULL: @s does not end with it. */
const char *endswith(const char *s, const char *suffix);

/* NULL-terminated arrays of owned strings. */
void strv_free(char **v);
DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)
size_t strv_length(char *const *v);

/* A list of strings that are only read, such as a command line. It lives as long as the block that it is written in. */
#define ARGV(...) ((char **) (const char *const[]){ __VA_ARGS__, NULL })

/* Appends a copy of @s, or what printf makes. 0, or -ENOMEM with *v as it was. */
int strv_extend(char ***v, const char *s);
int strv_extendf(char ***v, const char *format, ...) _printf_(2, 3);
/* The same for all of @strings (NULL: none), and for all arguments up to a NULL. 0, or -ENOMEM after some were appended. */
int strv_extend_strv(char ***v, char *const *strings);
#define strv_extend_many(v, ...) strv_extend_strv(v, ARGV(__VA_ARGS__))

/* Strings that are appended one by one, in time that grows with their number: strv_extend() counts all of them each time. For
 * lists that somebody may make as long as they like. */
typedef struct StringList {
        char **strings; /* as other arrays of owned strings; NULL: empty */
        size_t n, n_max;
} StringList;

/* Appends a copy of @s, or what printf makes. 0, or -ENOMEM with *list as it was. */
int string_list_add(StringList *list, const char *s);
int string_list_addf(StringList *list, const char *format, ...) _printf_(2, 3);
/* Empties the list. Its strings (NULL: none), for strv_free(). */
char **string_list_take(StringList *list);
void string_list_done(StringList *list);
#define _cleanup_string_list_ _cleanup_(string_list_done)

/* The value of @name among "NAME=VALUE"s, the last where there are several, or NULL. */
const char *strv_value(char *const *v, const char *name);

/* Sets the variable of @assignment ("NAME=VALUE") among "NAME=VALUE"s: in the place of the one that is there, or at the end. 0
 * or -ENOMEM. */
int strv_set_variable(char ***v, const char *assignment);

/* Sorts by bytes; strv_sort_unique() keeps only one of equal strings. */
void strv_sort(char **v);
void strv_sort_unique(char **v);

/* Copies @v (NULL stays NULL). *ret is for strv_free(). 0 or -ENOMEM. */
int strv_copy(char *const *v, char ***ret);

/* printf() into a new string. *ret is to be freed; an old value of it is not freed. 0, or -ENOMEM with *ret as it was. */
int string_printf(char **ret, const char *format, ...) _printf_(2, 3);
int string_vprintf(char **ret, const char *format, va_list ap) _printf_(2, 0);

/* Puts a text together piece by piece: appends @separator, unless *text is NULL, and what printf makes. *text stays to
 * be freed. 0, or -ENOMEM with *text as it was. */
int string_append(char **text, const char *separator, const char *format, ...) _printf_(3, 4);

/* Frees *target and replaces it by a copy of @s (NULL: by NULL). 0, or -ENOMEM with *target as it was. */
int string_replace(char **target, const char *s);

/* Is @path relative, without empty parts, "." and ".."? */
bool path_is_plain(const char *path);

/* Is path @inner below directory @outer? Both are normalized and absolute. */
bool path_is_below(const char *inner, const char *outer);

/* Parses a whole decimal number without sign or blanks: 0, -EINVAL, or -ERANGE. */
int parse_uint64(const char *s, uint64_t *ret);

/* How many single-character edits turn @a into @b; SIZE_MAX: memory ran out. */
size_t edit_distance(const char *a, const char *b);

/* The index of the candidate that @typed may have meant; -1: none is near. @name returns candidate @i of @userdata, NULL
 * after the last. */
int nearest_name(const char *typed, const char *(*name)(const void *userdata, size_t i), const void *userdata);

/* "1.5G": for people; exact bytes belong into JSON. Returns @ret. */
#define FORMAT_BYTES_MAX 16
const char *format_bytes(uint64_t bytes, char ret[static FORMAT_BYTES_MAX]);
