/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* Regular expressions as GitLab's RE2 reads them, by PCRE2: what RE2 lacks (looking around, references back, recursion) is
 * refused here, because GitLab would refuse it. */
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
        REGEX_RUBY = 1 << 4, /* a Ruby expression: looking around is fine, "^" and "$" are at lines */
} RegexFlags;

/* Compiles. Returns 0, -EINVAL with a reason in *reterr_reason (in the arena), or -ENOENT when libpcre2-8 is not
 * installed. */
int regex_compile(RegexCache *cache, const char *pattern, unsigned flags, const Regex **ret,
                  const char **reterr_reason);

/* Searches in @text. 1: found; 0: not; -ELOOP: it takes too long to find out. */
int regex_search(const Regex *regex, const char *text);
