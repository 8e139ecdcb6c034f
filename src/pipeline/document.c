/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Splits a file into its header and its content. include.c calls this for each file of a configuration, before the
 * content is read as YAML, because values of inputs are put into the text of the content. It must not parse the
 * content. */

#include "pipeline/document.h"

#include <ctype.h>

#include "base/string.h"
#include "pipeline/yaml.h"

#define DOCUMENTS_MAX 3 /* that a file is split into; what follows is part of the last one */

/* Finds the next "---" at the start of a line with a blank behind it; NULL: there is none. */
static const char *find_divider(const char *from, const char *start, const char *end) {
        for (const char *p = from; (size_t) (end - p) > 3; p++) {
                if ((p == start || p[-1] == '\n') && strncmp(p, "---", 3) == 0 && isspace((unsigned char) p[3]))
                        return p;
                p = memchr(p, '\n', (size_t) (end - p));
                if (!p)
                        return NULL;
        }
        return NULL;
}

/* Splits @text. What follows the last document that counts is no part of it: Ruby reads one document of each. Returns how many
 * there are, at least 1. */
static size_t split(const char *text, size_t size, Document documents[static DOCUMENTS_MAX]) {
        const char *end = text + size, *start = text, *counted = text;
        unsigned line = 1, column = 1;
        size_t n = 0;

        for (;;) {
                const char *divider = find_divider(start, text, end);

                documents[n++] = (Document){ start, (size_t) ((divider ? divider : end) - start), line, column };
                if (!divider || n == DOCUMENTS_MAX)
                        return n;
                /* All blanks behind the divider belong to it, also those of following lines. */
                for (start = divider + 3; start < end && isspace((unsigned char) *start);)
                        start++;
                for (; counted < start; counted++) {
                        column = *counted == '\n' ? 1 : column + 1;
                        line += *counted == '\n';
                }
        }
}

/* What Rails calls blank: a document of nothing but comments, for one. */
static bool is_blank(const Value *value) {
        return value_is_null(value) || (value->type == VALUE_BOOLEAN && !value->boolean) ||
               (value->type == VALUE_STRING && !value->string[strspn(value->string, " \t\n\v\f\r")]) ||
               (value->type == VALUE_LIST && value->n_items == 0) || (value->type == VALUE_MAP && value->n_pairs == 0);
}

/* Leaves out blank documents. All others must be mappings, also those that do not count. *n is their number. */
static int check_all(Problems *problems, const char *file, Document *documents, size_t *n, const Value **ret_first) {
        size_t kept = 0;

        *ret_first = NULL;
        for (size_t i = 0; i < *n; i++) {
                const Document *document = documents + i;
                const Value *value = NULL;

                int r = yaml_load(problems, file, document->line, document->column, document->text, document->size,
                                  &value);
                if (r < 0)
                        return r;
                if (is_blank(value))
                        continue;
                if (value->type != VALUE_MAP)
                        return problem_add(problems, value->place, "each document must be a mapping, not %s",
                                           value_describe(value));
                if (kept == 0)
                        *ret_first = value;
                documents[kept++] = *document;
        }
        *n = kept;
        return 0;
}

int documents_split(Problems *problems, const char *file, const char *text, size_t size, Documents *ret) {
        Document documents[DOCUMENTS_MAX];
        const Value *first;

        if (size >= 3 && strncmp(text, "\xef\xbb\xbf", 3) == 0) {
                text += 3;
                size -= 3;
        }
        size_t n = split(text, size, documents);
        *ret = (Documents){ .file = file, .content = documents[0] };
        if (n < 2)
                return 0;
        int r = check_all(problems, file, documents, &n, &first);
        if (r < 0 || n == 0)
                return r;
        ret->content = documents[0];
        if (n > 1 && map_find(first, "spec")) {
                ret->header = first;
                ret->content = documents[n - 1];
        }
        return 0;
}
