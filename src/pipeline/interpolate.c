/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts the values of inputs into the text of a file, before it is read as YAML: "$[[ inputs.name | function(...) ]]".
 * include.c calls this for the content of each file that has a header. A value must never be interpolated again. */

#include <ctype.h>
#include <stdio.h>

#include "base/string.h"
#include "pipeline/input.h"

#define FUNCTIONS_MAX 3
#define BLOCK_BYTES_MAX 1024
#define BLOCKS_MAX 10000

typedef struct Interpolation {
        Arena *arena;
        Problems *problems;
        const Value *inputs, *component;
        const Variables *variables;
        Place place; /* of the present block */
} Interpolation;

static int fail(Interpolation *interpolation, const char *format, ...) _printf_(2, 3);
static int fail(Interpolation *interpolation, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        const char *text = arena_vprintf(interpolation->arena, format, ap);
        va_end(ap);
        return problem_add(interpolation->problems, interpolation->place, "%s", text);
}

/* Cuts blanks off both ends. */
static char *strip(char *text) {
        while (isspace((unsigned char) *text))
                text++;
        for (size_t n = strlen(text); n > 0 && isspace((unsigned char) text[n - 1]);)
                text[--n] = 0;
        return text;
}

static int look_up(Interpolation *interpolation, const char *access, const Value **ret) {
        const char *name = startswith(access, "inputs."), *part = startswith(access, "component.");

        if (name) {
                *ret = map_get(interpolation->inputs, name);
                if (*ret)
                        return 0;
                return fail(interpolation, "there is no input '%s'%s; declare it in the header, below 'spec: inputs:'",
                            name, nearest_key_hint(interpolation->arena, name, interpolation->inputs));
        }
        if (part) {
                *ret = map_get(interpolation->component, part);
                if (*ret)
                        return 0;
                return fail(interpolation,
                            "'component.%s' is not known here; list it in the header, below 'spec: component:'", part);
        }
        return fail(interpolation, "write $[[ inputs.NAME ]]; '%s' is not known", access);
}

static int expand_vars(Interpolation *interpolation, _unused_ const char *arguments, const char *text,
                       const Value **ret) {
        *ret = value_new_string(interpolation->arena, variables_expand(interpolation->variables, text, true),
                                interpolation->place);
        return 0;
}

/* Skips @n characters of UTF-8. */
static const char *skip_characters(const char *p, unsigned long n) {
        for (; n > 0 && *p; n--)
                do
                        p++;
                while (((unsigned char) *p & 0xc0) == 0x80);
        return p;
}

static int truncate_text(Interpolation *interpolation, const char *arguments, const char *text, const Value **ret) {
        unsigned long offset, length;
        char rest;

        if (sscanf(arguments, "%lu , %lu %c", &offset, &length, &rest) != 2)
                return fail(interpolation, "write truncate(OFFSET, LENGTH) with two numbers");
        const char *start = skip_characters(text, offset);
        *ret = value_new_string(
                interpolation->arena,
                arena_copy(interpolation->arena, start, (size_t) (skip_characters(start, length) - start)),
                interpolation->place);
        return 0;
}

/* Escapes as Ruby's Shellwords.escape. */
static int posix_escape(Interpolation *interpolation, _unused_ const char *arguments, const char *text,
                        const Value **ret) {
        Text out = { .arena = interpolation->arena };

        if (!*text)
                text_add_string(&out, "''");
        for (; *text; text++) {
                unsigned char c = (unsigned char) *text;

                if (c == '\n') {
                        text_add_string(&out, "'\n'");
                        continue;
                }
                if (!isalnum(c) && c < 0x80 && !strchr("_-.,:+/@", c))
                        text_add(&out, "\\", 1);
                text_add(&out, text, 1);
        }
        *ret = value_new_string(interpolation->arena, text_get(&out), interpolation->place);
        return 0;
}

static int split_text(Interpolation *interpolation, const char *arguments, const char *text, const Value **ret) {
        size_t n = strlen(arguments);
        Value *list = value_new(interpolation->arena, VALUE_LIST, interpolation->place);

        if (n < 3 || (arguments[0] != '\'' && arguments[0] != '"') || arguments[n - 1] != arguments[0])
                return fail(interpolation, "write split(',') with the separator in quotes");
        const char *separator = arena_copy(interpolation->arena, arguments + 1, n - 2);
        for (const char *p = text, *end; p; p = end ? end + strlen(separator) : NULL) {
                end = strstr(p, separator);
                char *item = strip(arena_copy(interpolation->arena, p, end ? (size_t) (end - p) : strlen(p)));
                if (*item)
                        value_append(interpolation->arena, list,
                                     value_new_string(interpolation->arena, item, interpolation->place));
        }
        *ret = list;
        return 0;
}

static int apply(Interpolation *interpolation, char *call, const Value **value) {
        static const struct {
                const char *name;
                int (*function)(Interpolation *interpolation, const char *arguments, const char *text,
                                const Value **ret);
                bool has_arguments;
        } functions[] = {
                { "expand_vars", expand_vars, false },   { "truncate", truncate_text, true },
                { "posix_escape", posix_escape, false }, { "posix_quote", posix_escape, false },
                { "split", split_text, true },
        };
        static const char *const names[] = { "expand_vars", "truncate", "posix_escape", "split", NULL };
        char *open = strchr(call, '('), *close = open ? strrchr(call, ')') : NULL;
        const char *arguments = "";

        if (open && close && !close[1]) {
                *close = *open = 0;
                arguments = strip(open + 1);
        } else
                open = NULL;
        for (size_t i = 0; i < ELEMENTSOF(functions); i++) {
                if (!streq(functions[i].name, call))
                        continue;
                if (functions[i].has_arguments != (open != NULL))
                        return fail(interpolation,
                                    functions[i].has_arguments ? "'%s' needs arguments in parentheses" :
                                                                 "'%s' takes no arguments",
                                    call);
                if ((*value)->type != VALUE_STRING)
                        return fail(interpolation, "'%s' needs a text, not %s", call, value_describe(*value));
                return functions[i].function(interpolation, arguments, (*value)->string, value);
        }
        return fail(interpolation, "there is no function '%s'%s", call,
                    nearest_hint(interpolation->arena, call, names));
}

/* Interpolates the text between "$[[" and "]]". */
static int interpolate_block(Interpolation *interpolation, const char *block, size_t size, Text *out) {
        char *rest = arena_copy(interpolation->arena, block, size);
        const Value *value;
        unsigned n = 0;

        if (size > BLOCK_BYTES_MAX)
                return fail(interpolation, "more than %d characters between $[[ and ]]", BLOCK_BYTES_MAX);
        char *access = strip(strsep(&rest, "|"));
        int r = look_up(interpolation, access, &value);
        if (r < 0)
                return r;
        while (rest) {
                char *call = strip(strsep(&rest, "|"));

                if (++n > FUNCTIONS_MAX)
                        return fail(interpolation, "at most %d functions may follow each other", FUNCTIONS_MAX);
                r = apply(interpolation, call, &value);
                if (r < 0)
                        return r;
        }
        if (value->type == VALUE_STRING)
                text_add_string(out, value->string);
        else
                value_to_json(out, value);
        return 0;
}

/* Finds the "]]" that ends the block on its line, or returns NULL. */
static const char *block_end(const char *p, const char *end) {
        for (; p + 1 < end && *p != '\n'; p++)
                if (p[0] == ']' && p[1] == ']')
                        return p;
        return NULL;
}

static bool is_matrix(const char *p) {
        while (*p == ' ')
                p++;
        return startswith(p, "matrix.") != NULL;
}

int inputs_interpolate(Problems *problems, const char *file, const Document *document, const Value *inputs,
                       const Value *component, const Variables *variables, const char **ret_text, size_t *ret_size) {
        Interpolation interpolation = { .arena = problems->arena,
                                        .problems = problems,
                                        .inputs = inputs,
                                        .component = component,
                                        .variables = variables };
        const char *end = document->text + document->size, *start = document->text;
        Text out = { .arena = problems->arena };
        unsigned line = document->line, column = document->column, n = 0;
        int result = 0;

        for (const char *p = start; p < end; p++) {
                const char *close = end - p >= 3 && strncmp(p, "$[[", 3) == 0 ? block_end(p + 3, end) : NULL;

                if (close && !is_matrix(p + 3)) {
                        interpolation.place = (Place){ file, line, column };
                        if (++n > BLOCKS_MAX)
                                return fail(&interpolation, "more than %d times $[[ in a file", BLOCKS_MAX);
                        text_add(&out, start, (size_t) (p - start));
                        if (interpolate_block(&interpolation, p + 3, (size_t) (close - p - 3), &out) < 0)
                                result = -EINVAL;
                        column += (unsigned) (close + 1 - p);
                        p = close + 1;
                        start = p + 1;
                }
                column = *p == '\n' ? 1 : column + 1;
                line += *p == '\n';
        }
        text_add(&out, start, (size_t) (end - start));
        *ret_text = text_get(&out);
        *ret_size = out.size;
        return result;
}
