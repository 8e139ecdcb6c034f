/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists of variables and GitLab's expansion of them. Called for includes, rules, matrices and jobs. The runner expands
 * some things later, in another way; this must leave them alone. An expansion must always end: variables that refer to
 * each other are an error, and a value that grows beyond a limit is cut. */

#include "pipeline/variables.h"

#include <ctype.h>

#include "base/sha256.h"
#include "base/string.h"

#define SLUG_BYTES_MAX 63
#define VALUE_BYTES_MAX ((size_t) 1024 * 1024) /* of an expanded value, which is cut there: no job could get more */

static uint32_t hash_name(const char *key) {
        uint32_t hash = 2166136261u;

        for (; *key; key++)
                hash = (hash ^ (unsigned char) *key) * 16777619u;
        return hash;
}

static void index_add(Variables *variables, size_t i) {
        size_t mask = variables->index_size - 1;

        for (size_t at = hash_name(variables->items[i].key) & mask;; at = (at + 1) & mask)
                if (variables->index[at] == 0) {
                        variables->index[at] = (uint32_t) i + 1;
                        return;
                }
}

const Variable *variables_find(const Variables *variables, const char *key) {
        size_t mask = variables->index_size - 1;

        if (variables->index_size == 0)
                return NULL;
        for (size_t at = hash_name(key) & mask; variables->index[at] != 0; at = (at + 1) & mask)
                if (streq(variables->items[variables->index[at] - 1].key, key))
                        return variables->items + variables->index[at] - 1;
        return NULL;
}

const char *variables_get(const Variables *variables, const char *key) {
        const Variable *variable = variables_find(variables, key);

        return variable ? variable->value : NULL;
}

void variables_set(Variables *variables, const Variable *variable) {
        Variable *old = (Variable *) variables_find(variables, variable->key);

        if (old) {
                *old = *variable;
                return;
        }
        ARENA_APPEND(variables->arena, variables->items, variables->n, *variable);
        if (variables->n * 2 <= variables->index_size) {
                index_add(variables, variables->n - 1);
                return;
        }
        variables->index_size = MAX(variables->index_size * 4, (size_t) 64);
        variables->index = arena_alloc(variables->arena, variables->index_size * sizeof(uint32_t));
        for (size_t i = 0; i < variables->n; i++)
                index_add(variables, i);
}

void variables_set_text(Variables *variables, const char *key, const char *value) {
        variables_set(variables, &(Variable){ .key = key, .value = value });
}

void variables_set_all(Variables *variables, const Variables *from) {
        for (size_t i = 0; i < from->n; i++)
                variables_set(variables, from->items + i);
}

/* [A-Za-z_][A-Za-z0-9_]* */
static size_t name_size(const char *p) {
        size_t n = 0;

        if (isalpha((unsigned char) *p) || *p == '_')
                while (isalnum((unsigned char) p[n]) || p[n] == '_')
                        n++;
        return n;
}

/* Is there a reference "$NAME", "${NAME}" or "%NAME%" at @p? True with the name, its size and the size of the whole. */
static bool variable_reference(const char *p, const char **ret_name, size_t *ret_name_size, size_t *ret_size) {
        bool braces = p[0] == '$' && p[1] == '{';
        const char *name = p + 1 + braces;
        size_t n = *p == '$' || *p == '%' ? name_size(name) : 0;
        char close = braces ? '}' : *p == '%' ? '%' : 0;

        if (n == 0 || (close && name[n] != close))
                return false;
        *ret_name = name;
        *ret_name_size = n;
        *ret_size = (size_t) (name - p) + n + (close != 0);
        return true;
}

/* Appends @text to @out, with each reference replaced by what @replace returns; NULL: the reference stays. With @pairs,
 * no reference begins at the second sign of "$$" and "%%". */
static void expand(Text *out, const char *text, bool pairs, const char *(*replace)(void *userdata, const char *name),
                   void *userdata) {
        const char *name, *start = text, *p = text;
        size_t name_bytes, size;

        while (*p) {
                if (!variable_reference(p, &name, &name_bytes, &size)) {
                        p += pairs && (*p == '$' || *p == '%') && p[1] == p[0] ? 2 : 1;
                        continue;
                }
                const char *value = replace(userdata, arena_copy(out->arena, name, name_bytes));
                if (value) {
                        text_add(out, start, (size_t) (p - start));
                        if (out->size + strlen(value) <= VALUE_BYTES_MAX)
                                text_add_string(out, value);
                        start = p + size;
                }
                p += size;
        }
        text_add(out, start, (size_t) (p - start));
}

typedef struct Once {
        const Variables *variables;
        bool keep_unknown;
} Once;

static const char *replace_once(void *userdata, const char *name) {
        const Once *once = userdata;
        const char *value = variables_get(once->variables, name);

        return value || once->keep_unknown ? value : "";
}

const char *variables_expand(const Variables *variables, const char *text, bool keep_unknown) {
        Once once = { variables, keep_unknown };
        Text out = { .arena = variables->arena };

        if (!strpbrk(text, "$%"))
                return text;
        expand(&out, text, false, replace_once, &once);
        return text_get(&out);
}

typedef enum Progress { NOT_YET, BEING_EXPANDED, DONE } Progress;

typedef struct Nested {
        const Variables *from;
        Variables *to; /* parallel to @from */
        unsigned char *progress;
        bool all;
        const char *path[64]; /* names of the variables that are being expanded */
        size_t depth;
        const char *loop; /* the first one found */
} Nested;

static void expand_variable(Nested *nested, size_t i);

static void note_loop(Nested *nested, const char *name) {
        Text names = { .arena = nested->to->arena };
        size_t from = nested->depth;

        if (nested->loop)
                return;
        while (from > 0 && !streq(nested->path[from - 1], name))
                from--;
        for (size_t i = from > 0 ? from - 1 : 0; i < nested->depth; i++)
                text_printf(&names, "%s%s", names.size > 0 ? ", " : "", nested->path[i]);
        nested->loop = text_get(&names);
}

static const char *replace_nested(void *userdata, const char *name) {
        Nested *nested = userdata;
        const Variable *variable = variables_find(nested->from, name);

        if (!variable || (!nested->all && (variable->raw || variable->file)))
                return NULL;
        size_t i = (size_t) (variable - nested->from->items);
        if (nested->progress[i] == BEING_EXPANDED) {
                /* A variable may refer to itself directly: that reference stays as it is written. */
                if (!streq(nested->path[nested->depth - 1], name))
                        note_loop(nested, name);
                return NULL;
        }
        expand_variable(nested, i);
        return nested->to->items[i].value;
}

static void expand_variable(Nested *nested, size_t i) {
        Variable *variable = nested->to->items + i;
        Text out = { .arena = nested->to->arena };

        if (nested->progress[i] == DONE)
                return;
        if (variable->raw || !strpbrk(variable->value, "$%")) {
                nested->progress[i] = DONE;
                return;
        }
        if (nested->depth == ELEMENTSOF(nested->path))
                return;
        nested->progress[i] = BEING_EXPANDED;
        nested->path[nested->depth++] = variable->key;
        expand(&out, variable->value, true, replace_nested, nested);
        nested->depth--;
        variable->value = text_get(&out);
        nested->progress[i] = DONE;
}

int variables_expand_nested(const Variables *variables, bool all, Variables *ret, const char **reterr_names) {
        Nested nested = { .from = variables, .to = ret, .all = all };

        *ret = (Variables){ .arena = variables->arena };
        variables_set_all(ret, variables);
        nested.progress = arena_alloc(variables->arena, variables->n);
        for (size_t i = 0; i < variables->n; i++)
                expand_variable(&nested, i);
        if (!nested.loop)
                return 0;
        *reterr_names = nested.loop;
        return -ELOOP;
}

const char *variable_slug(Arena *arena, const char *text) {
        char *slug = arena_alloc(arena, SLUG_BYTES_MAX + 1);
        size_t n = 0;

        for (; *text && n < SLUG_BYTES_MAX; text++) {
                unsigned char c = (unsigned char) *text;

                if ((c & 0xc0) != 0x80) /* one for each character, however many bytes it has */
                        slug[n++] = isalnum(c) && c < 0x80 ? (char) tolower(c) : '-';
        }
        while (n > 0 && slug[n - 1] == '-')
                slug[--n] = 0;
        return slug + strspn(slug, "-");
}

#define ENVIRONMENT_SLUG_BYTES_MAX 24
#define ENVIRONMENT_SLUG_BEGIN_BYTES 17 /* of one that gets a suffix */
#define SUFFIX_CHARACTERS 6

/* The last digits of the digest of @name to base 36. */
static const char *slug_suffix(Arena *arena, const char *name) {
        char *suffix = arena_alloc(arena, SUFFIX_CHARACTERS + 1);
        uint8_t digest[SHA256_BYTES];
        uint64_t modulus = 1, rest = 0;

        sha256(name, strlen(name), digest);
        for (size_t i = 0; i < SUFFIX_CHARACTERS; i++)
                modulus *= 36;
        for (size_t i = 0; i < SHA256_BYTES; i++)
                rest = (rest * 256 + digest[i]) % modulus;
        for (size_t i = SUFFIX_CHARACTERS; i-- > 0; rest /= 36)
                suffix[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36];
        return suffix;
}

const char *environment_slug(Arena *arena, const char *name) {
        Text text = { .arena = arena };

        if (!(isalpha((unsigned char) *name) && (unsigned char) *name < 0x80))
                text_add_string(&text, "env-");
        for (const char *p = name; *p; p++) {
                unsigned char c = (unsigned char) *p;
                char next = isalnum(c) && c < 0x80 ? (char) tolower(c) : '-';

                if (next != '-' || text.size == 0 || text_get(&text)[text.size - 1] != '-')
                        text_add(&text, &next, 1);
        }
        const char *slug = text_get(&text);
        size_t n = strlen(slug);
        if (n <= ENVIRONMENT_SLUG_BYTES_MAX && streq(slug, name))
                return n > 0 && slug[n - 1] == '-' ? arena_copy(arena, slug, n - 1) : slug;
        n = MIN(n, (size_t) ENVIRONMENT_SLUG_BEGIN_BYTES);
        return arena_printf(arena, "%.*s%s%s", (int) n, slug, n > 0 && slug[n - 1] == '-' ? "" : "-",
                            slug_suffix(arena, name));
}

const char *environment_tier(const char *name) {
        /* Parts of names, as GitLab looks for them: those of the first line that has one. */
        static const struct {
                const char *tier, *parts[10];
        } tiers[] = {
                { "development", { "dev", "review", "trunk" } },
                { "testing", { "test", "tst", "int", "accept", "acpt", "qa", "qc", "control", "quality" } },
                { "staging", { "stag", "stg", "model", "modl", "pre", "demo", "non" } },
                { "production", { "prod", "prd", "live" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(tiers); i++)
                for (size_t k = 0; tiers[i].parts[k]; k++)
                        if (strcasestr(name, tiers[i].parts[k]))
                                return tiers[i].tier;
        return "other";
}
