/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* Regular expressions as GitLab's RE2 reads them, by PCRE2: constructs that RE2 lacks (lookaround, backreferences,
 * recursion) are refused, because GitLab would refuse them. */
typedef struct Regex Regex;

/* Compiled expressions, so that the rules of thousands of jobs cost one compilation each. */
typedef struct RegexCache {
        Arena *arena;
        Regex **items;
        size_t n;
} RegexCache;

typedef enum RegexFlags {
        REGEX_IGNORE_CASE = 1 << 0,
        REGEX_MULTI_LINE = 1 << 1, /* "^" and "$" at lines */
        REGEX_DOT_ALL = 1 << 2,    /* "." matches a newline */
        REGEX_UNGREEDY = 1 << 3,
        REGEX_RUBY = 1 << 4, /* a Ruby expression: lookaround is allowed, "^" and "$" match at lines */
} RegexFlags;

/* Compiles @pattern. Returns 0 with *ret owned by the cache; -EINVAL with a reason in *reterr_reason (in the arena); or
 * -ENOENT: libpcre2-8 is not installed. */
int regex_compile(RegexCache *cache, const char *pattern, unsigned flags, const Regex **ret,
                  const char **reterr_reason);

/* Searches in @text. 1: found; 0: not found; -ELOOP: the search takes too long. */
int regex_search(const Regex *regex, const char *text);
