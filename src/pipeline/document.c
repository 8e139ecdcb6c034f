/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Splits a file into its header and its content. include.c calls this for each file of a configuration, before the
 * content is read as YAML, because values of inputs are put into the text of the content. It must not parse the
 * content. */

#include "pipeline/document.h"

#include <ctype.h>

#include "base/string.h"
#include "pipeline/yaml.h"

#define DOCUMENTS_MAX 2

static bool is_blank(const Document *document) {
        for (size_t i = 0; i < document->size; i++)
                if (!isspace((unsigned char) document->text[i]))
                        return false;
        return true;
}

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

/* Splits into @documents, at most one more than is allowed. Returns their number. */
static size_t split(const char *text, size_t size, Document documents[static DOCUMENTS_MAX + 2]) {
        const char *end = text + size, *start = text, *counted = text;
        unsigned line = 1, column = 1;
        size_t n = 0;

        for (;;) {
                const char *divider = find_divider(start, text, end);
                Document document = { start, (size_t) ((divider ? divider : end) - start), line, column };

                if (n > 0 || !is_blank(&document) || !divider)
                        documents[n++] = document;
                if (!divider || n > DOCUMENTS_MAX)
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

int documents_split(Problems *problems, const char *file, const char *text, size_t size, Documents *ret) {
        Document documents[DOCUMENTS_MAX + 2];

        if (size >= 3 && strncmp(text, "\xef\xbb\xbf", 3) == 0) {
                text += 3;
                size -= 3;
        }
        size_t n = split(text, size, documents);
        *ret = (Documents){ .file = file, .content = documents[0] };
        if (n > DOCUMENTS_MAX)
                return problem_add(
                        problems, (Place){ file, documents[DOCUMENTS_MAX].line, 1 },
                        "more than %d documents; there can be one with 'spec:' and one with the configuration",
                        DOCUMENTS_MAX);
        if (n < 2)
                return 0;
        const Value *first = NULL;
        int r = yaml_load(problems, file, documents[0].line, documents[0].column, documents[0].text, documents[0].size,
                          &first);
        if (r < 0)
                return r;
        if (map_find(first, "spec")) {
                ret->header = first;
                ret->content = documents[1];
        }
        return 0;
}
