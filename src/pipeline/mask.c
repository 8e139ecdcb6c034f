/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hides the values of masked variables in what people get to see: logs, reports of tests, explanations. Called for each
 * line of a log. It must not change a text that has none of them. */

#include "pipeline/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"

#define LINE_BYTES_MIN 4 /* of one of several lines */
#define BLANKS " \t\v\f"

/* Those that are in the text. */
typedef struct Secrets {
        struct Secret {
                const char *text;
                size_t size;
        } * items;
        size_t n;
} Secrets;

static void secrets_done(Secrets *secrets) {
        free(secrets->items);
}

static int longest_first(const void *a, const void *b) {
        size_t x = ((const struct Secret *) a)->size, y = ((const struct Secret *) b)->size;

        return (x < y) - (x > y);
}

/* Adds the lines of a value that are in @text. 0 or -ENOMEM. */
static int find_lines(const char *value, const char *text, size_t text_size, Secrets *secrets) {
        const char *first = value + strspn(value, BLANKS "\r\n"), *end = first + strcspn(first, "\r\n");
        bool several = end[strspn(end, BLANKS "\r\n")];

        for (const char *line = value, *next; *line; line = next) {
                size_t size = strcspn(line, "\r\n");

                next = line + size + strspn(line + size, "\r\n");
                while (size > 0 && strchr(BLANKS, *line)) {
                        line++;
                        size--;
                }
                while (size > 0 && strchr(BLANKS, line[size - 1]))
                        size--;
                /* A brace or a comma between the lines of a key is none of it. */
                if (size == 0 || (several && size < LINE_BYTES_MIN) || !memmem(text, text_size, line, size))
                        continue;
                struct Secret *items = reallocarray(secrets->items, secrets->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                secrets->items = items;
                items[secrets->n++] = (struct Secret){ .text = line, .size = size };
        }
        return 0;
}

static void write_masked(const char *text, const Secrets *secrets, FILE *file) {
        while (*text) {
                size_t i = 0;

                while (i < secrets->n && strncmp(text, secrets->items[i].text, secrets->items[i].size) != 0)
                        i++;
                if (i == secrets->n) {
                        putc(*text++, file);
                        continue;
                }
                fputs(MASK, file);
                text += secrets->items[i].size;
        }
}

int mask_text(const Variables *variables, const char *text, char **ret) {
        _cleanup_(secrets_done) Secrets secrets = { 0 };
        _cleanup_free_ char *masked = NULL;
        size_t text_size = strlen(text), size = 0;

        for (size_t i = 0; i < variables->n; i++) {
                const Variable *variable = variables->items + i;
                int r = variable->masked && variable->value ? find_lines(variable->value, text, text_size, &secrets) :
                                                              0;
                if (r < 0)
                        return r;
        }
        if (secrets.n == 0) {
                *ret = strdup(text);
                return *ret ? 0 : -ENOMEM;
        }
        qsort(secrets.items, secrets.n, sizeof(*secrets.items), longest_first);
        FILE *file = open_memstream(&masked, &size);
        if (!file)
                return -ENOMEM;
        write_masked(text, &secrets, file);
        bool failed = ferror(file);
        if (fclose(file) != 0 || failed || !masked)
                return -ENOMEM;
        *ret = TAKE_PTR(masked);
        return 0;
}

const char *mask_value(const Variables *variables, const Variable *variable) {
        ArenaOwned *slot = arena_slot(variables->arena);
        char *text = NULL;

        if (variable->masked || mask_text(variables, variable->value, &text) < 0)
                return MASK;
        arena_fill(slot, text, free);
        return text;
}
