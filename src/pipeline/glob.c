/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The two languages of globs in a configuration. Called for rules, includes, caches and artifacts. No glob may cost
 * much: BRACES_MAX limits the number of alternatives, BRACES_DEPTH_MAX the stack, and the product of the lengths limits
 * each comparison. */

#include "pipeline/glob.h"

#include <string.h>

#include "base/utf8.h"

#define BRACES_MAX 4096      /* alternatives that one glob may stand for */
#define BRACES_DEPTH_MAX 128 /* braces in one of them: each takes GLOB_BYTES_MAX of the stack */
#define GLOB_BYTES_MAX 4096

/* Returns the number of bytes of the character at @p. What is no UTF-8 counts as a character for each byte. */
static size_t character(const char *p) {
        return MAX(utf8_length(p), (size_t) 1);
}

static uint32_t code(const char *p) {
        uint32_t c = (unsigned char) *p;

        (void) utf8_decode(p, &c);
        return c;
}

/* Compares "[...]" at @p with the character at @s. Returns what follows the bracket if it matches, NULL if it does
 * not. */
static const char *match_bracket(const char *p, const char *s) {
        bool negated = *++p == '!' || *p == '^', found = false;
        uint32_t c = code(s);

        p += negated;
        while (*p != ']') {
                if (*p == '\\' && p[1])
                        p++;
                if (!*p || *p == '/')
                        return NULL;
                uint32_t low = code(p), high = low;
                p += character(p);
                if (*p == '-' && p[1] != ']') {
                        p++;
                        if (*p == '\\' && p[1])
                                p++;
                        if (!*p || *p == '/')
                                return NULL;
                        high = code(p);
                        p += character(p);
                }
                found = found || (low <= c && c <= high);
        }
        return found != negated ? p + 1 : NULL;
}

/* Compares one component, up to "/" or the end of both texts. On success both pointers are moved there; otherwise
 * *s_ref is left somewhere in its component. */
static bool match_part(const char **p_ref, const char **s_ref) {
        const char *p = *p_ref, *s = *s_ref, *after_star = NULL, *retry = NULL;

        for (;;) {
                if (*p == '*') {
                        while (*p == '*')
                                p++;
                        after_star = p;
                        retry = s;
                        continue;
                }
                bool s_end = !*s || *s == '/';
                if ((!*p || *p == '/') && s_end) {
                        *p_ref = p;
                        *s_ref = s;
                        return true;
                }
                const char *next = NULL;
                if (!s_end && *p && *p != '/') {
                        if (*p == '?')
                                next = p + 1;
                        else if (*p == '[')
                                next = match_bracket(p, s);
                        else {
                                const char *literal = *p == '\\' && p[1] ? p + 1 : p;
                                size_t n = character(s);

                                if (strncmp(literal, s, n) == 0)
                                        next = literal + n;
                        }
                }
                if (next) {
                        p = next;
                        s += character(s);
                } else if (after_star && *retry && *retry != '/') {
                        retry += character(retry);
                        p = after_star;
                        s = retry;
                } else
                        return false;
        }
}

static bool match_plain(const char *p, const char *s) {
        const char *after_any = NULL, *retry = NULL;

        for (;;) {
                if (strncmp(p, "**/", 3) == 0) {
                        while (strncmp(p, "**/", 3) == 0)
                                p += 3;
                        after_any = p;
                        retry = s;
                }
                if (match_part(&p, &s)) {
                        if (*p && *s) {
                                p++;
                                s++;
                                continue;
                        }
                        if (!*p && !*s)
                                return true;
                }
                /* Let the last "**" + "/" take one directory more. */
                if (!after_any)
                        return false;
                retry = strchr(retry, '/');
                if (!retry)
                        return false;
                p = after_any;
                s = ++retry;
        }
}

/* Finds the first "{" that is closed. True with its place and the place of its "}". */
static bool find_braces(const char *glob, const char **ret_open, const char **ret_close) {
        const char *open = NULL;
        unsigned depth = 0;

        for (const char *p = glob; *p; p++) {
                if (*p == '{' && depth++ == 0)
                        open = p;
                if (*p == '}' && open && --depth == 0) {
                        *ret_open = open;
                        *ret_close = p;
                        return true;
                }
                if (*p == '\\' && p[1])
                        p++;
        }
        return false;
}

static bool match_braces(const char *glob, const char *path, unsigned level, unsigned *budget) {
        const char *open, *close;
        char buffer[GLOB_BYTES_MAX];
        unsigned depth = 0;

        if (*budget == 0)
                return false;
        --*budget;
        if (!find_braces(glob, &open, &close))
                return match_plain(glob, path);
        if (level == BRACES_DEPTH_MAX)
                return false;
        for (const char *start = open + 1, *p = start; p <= close; p++) {
                depth += *p == '{';
                if (*p == '\\' && p[1]) {
                        p++;
                        continue;
                }
                if ((*p == ',' && depth == 0) || p == close) {
                        size_t before = (size_t) (open - glob), inside = (size_t) (p - start);

                        memcpy(buffer, glob, before);
                        memcpy(buffer + before, start, inside);
                        memcpy(buffer + before + inside, close + 1, strlen(close + 1) + 1);
                        if (match_braces(buffer, path, level + 1, budget))
                                return true;
                        start = p + 1;
                }
                depth -= *p == '}' && p != close;
        }
        return false;
}

bool glob_match(const char *glob, const char *path) {
        unsigned budget = BRACES_MAX;

        if (!strchr(glob, '{'))
                return match_plain(glob, path);
        return strlen(glob) < GLOB_BYTES_MAX && match_braces(glob, path, 0, &budget);
}

bool wildcard_match(const char *pattern, const char *path) {
        const char *p = pattern, *s = path, *after_any = NULL, *any = NULL, *after_star = NULL, *star = NULL;

        for (;;) {
                if (p[0] == '*' && p[1] == '*') {
                        after_any = p += 2;
                        any = s;
                        after_star = NULL;
                        continue;
                }
                if (*p == '*') {
                        after_star = ++p;
                        star = s;
                        continue;
                }
                if (!*p && !*s)
                        return true;
                if (*p && *p == *s) {
                        p++;
                        s++;
                } else if (after_star && *star && *star != '/') {
                        s = ++star;
                        p = after_star;
                } else if (after_any && *any) {
                        s = ++any;
                        p = after_any;
                        after_star = NULL;
                } else
                        return false;
        }
}

bool glob_is_pattern(const char *glob) {
        return strpbrk(glob, "*?[{") != NULL;
}
