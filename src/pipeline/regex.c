/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Regular expressions of rules and inputs. GitLab compiles them with RE2; PCRE2 is what Debian has, and agrees with it
 * once what RE2 lacks is refused. Nothing else may call libpcre2, which is loaded for the first expression. */

#include "pipeline/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>

#include "base/library.h"
#include "base/string.h"

#define REPEAT_MAX 1000         /* RE2's limit for n and m in {n,m} */
#define MATCH_STEPS_MAX 1000000 /* for one search */
#define CACHE_MAX 4096

#define FUNCTIONS(X)                    \
        X(pcre2_compile_8)              \
        X(pcre2_code_free_8)            \
        X(pcre2_match_8)                \
        X(pcre2_match_data_create_8)    \
        X(pcre2_match_data_free_8)      \
        X(pcre2_match_context_create_8) \
        X(pcre2_match_context_free_8)   \
        X(pcre2_set_match_limit_8)      \
        X(pcre2_get_error_message_8)

static struct { FUNCTIONS(LIBRARY_POINTER) } pcre2;

struct Regex {
        const char *pattern;
        unsigned flags;
        pcre2_code *code;
        pcre2_match_data *match;
        pcre2_match_context *context;
};

static int load_library(void) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

        return pcre2.pcre2_compile_8 ? 0 : library_load(LIBRARY_PCRE2, names, (void **) &pcre2);
}

static void regex_destroy(void *object) {
        Regex *regex = object;

        if (regex->context)
                pcre2.pcre2_match_context_free_8(regex->context);
        if (regex->match)
                pcre2.pcre2_match_data_free_8(regex->match);
        if (regex->code)
                pcre2.pcre2_code_free_8(regex->code);
}

/* Returns the name of what "(?" at @p begins, if RE2 does not have it; else NULL. */
static const char *refuse_group(const char *p) {
        if (p[1] == '*')
                return "RE2 has no verbs such as (*...)";
        if (p[1] != '?')
                return NULL;
        if (p[2] == '=' || p[2] == '!')
                return "RE2 cannot look ahead, as (?= and (?! do";
        if (p[2] == '<' && (p[3] == '=' || p[3] == '!'))
                return "RE2 cannot look behind, as (?<= and (?<! do";
        if (p[2] == 'P' && p[3] == '<')
                return NULL;
        if (p[2] == '<' && (isalpha((unsigned char) p[3]) || p[3] == '_'))
                return NULL;
        const char *flags = p + 2 + strspn(p + 2, "imsU-");
        if (*flags == ':' || *flags == ')')
                return NULL;
        return "RE2 knows only (?:...), (?P<name>...) and the flags i, m, s and U behind (?";
}

static const char *refuse_escape(const char *p) {
        if (isdigit((unsigned char) p[1]) && p[1] != '0')
                return "RE2 has no references to groups such as \\1";
        if (p[1] && strchr("kgGKZRXhHNVC", p[1]))
                return "RE2 does not know this escape";
        return NULL;
}

static const char *refuse_repeat(const char *p) {
        unsigned long low, high;
        char *end;

        if (*p != '{')
                return NULL;
        if (!isdigit((unsigned char) p[1]))
                return NULL;
        low = high = strtoul(p + 1, &end, 10);
        if (*end == ',' && isdigit((unsigned char) end[1]))
                high = strtoul(end + 1, &end, 10);
        else if (*end == ',')
                end++;
        return *end == '}' && (low > REPEAT_MAX || high > REPEAT_MAX) ? "RE2 repeats at most 1000 times" : NULL;
}

/* Returns why RE2 would refuse @pattern, or NULL. Errors for RE2 and PCRE2 alike are left to PCRE2's compiler. */
static const char *refuse(const char *pattern) {
        bool in_class = false;

        for (const char *p = pattern; *p; p++) {
                const char *reason = NULL;

                if (*p == '\\') {
                        reason = refuse_escape(p);
                        if (p[1] == 'Q' && !in_class) {
                                const char *end = strstr(p, "\\E");
                                if (!end)
                                        return NULL;
                                p = end;
                        }
                        if (!reason && p[1])
                                p++;
                } else if (in_class) {
                        in_class = *p != ']' || p[-1] == '[' || (p[-1] == '^' && p[-2] == '[');
                } else if (*p == '[')
                        in_class = true;
                else if (*p == '(')
                        reason = refuse_group(p);
                else if (*p == '{')
                        reason = refuse_repeat(p);
                /* "a*+", "a++", "a?+" */
                if (!in_class && *p == '+' && p > pattern && strchr("*+?}", p[-1]) &&
                    (p - 1 == pattern || p[-2] != '\\'))
                        reason = "RE2 has no possessive repetition such as *+";
                if (reason)
                        return reason;
        }
        return NULL;
}

static int compile(Arena *arena, Regex *regex, const char **reterr_reason) {
        uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
        PCRE2_UCHAR message[128];
        PCRE2_SIZE offset;
        int error;

        if (regex->flags & REGEX_IGNORE_CASE)
                options |= PCRE2_CASELESS;
        if (regex->flags & (REGEX_MULTI_LINE | REGEX_RUBY))
                options |= PCRE2_MULTILINE;
        if (regex->flags & REGEX_DOT_ALL)
                options |= PCRE2_DOTALL;
        if (regex->flags & REGEX_UNGREEDY)
                options |= PCRE2_UNGREEDY;
        *reterr_reason = regex->flags & REGEX_RUBY ? NULL : refuse(regex->pattern);
        if (*reterr_reason)
                return -EINVAL;
        regex->code = pcre2.pcre2_compile_8((PCRE2_SPTR) regex->pattern, PCRE2_ZERO_TERMINATED, options, &error,
                                            &offset, NULL);
        if (!regex->code) {
                pcre2.pcre2_get_error_message_8(error, message, sizeof(message));
                *reterr_reason = arena_printf(arena, "%s (at character %zu)", (const char *) message, offset + 1);
                return -EINVAL;
        }
        regex->match = pcre2.pcre2_match_data_create_8(1, NULL);
        regex->context = pcre2.pcre2_match_context_create_8(NULL);
        if (!regex->match || !regex->context)
                longjmp(arena->exhausted, 1);
        pcre2.pcre2_set_match_limit_8(regex->context, MATCH_STEPS_MAX);
        return 0;
}

int regex_compile(RegexCache *cache, const char *pattern, unsigned flags, const Regex **ret,
                  const char **reterr_reason) {
        for (size_t i = 0; i < cache->n; i++)
                if (cache->items[i]->flags == flags && streq(cache->items[i]->pattern, pattern)) {
                        *ret = cache->items[i];
                        return 0;
                }
        int r = load_library();
        if (r < 0) {
                *reterr_reason = "libpcre2-8 is not installed; install the package libpcre2-8-0";
                return r;
        }
        Regex *regex = arena_new(cache->arena, Regex);
        regex->pattern = arena_string(cache->arena, pattern);
        regex->flags = flags;
        arena_fill(arena_slot(cache->arena), regex, regex_destroy);
        r = compile(cache->arena, regex, reterr_reason);
        if (r < 0)
                return r;
        if (cache->n < CACHE_MAX)
                ARENA_APPEND(cache->arena, cache->items, cache->n, regex);
        *ret = regex;
        return 0;
}

int regex_search(const Regex *regex, const char *text) {
        int r = pcre2.pcre2_match_8(regex->code, (PCRE2_SPTR) text, strlen(text), 0, 0, regex->match, regex->context);

        if (r == PCRE2_ERROR_NOMATCH)
                return 0;
        return r < 0 ? -ELOOP : 1;
}
