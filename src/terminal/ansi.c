/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Takes apart what jobs print. Called for each line that `exec` shows or puts into a report. The text is not trusted:
 * sequences that are not known must be left out. */

#include "terminal/ansi.h"

#include <string.h>

#include "base/utf8.h"

#define ESC '\033'
#define STYLE_BYTES_MAX 64

const char *ansi_begin(const char *line) {
        const char *begin = line;

        for (const char *p = line; (p = strchr(p, '\r')); p++)
                if (p[strspn(p, "\r")])
                        begin = p + 1;
        return begin;
}

/* The end of the sequence that begins with the ESC at @p. */
static const char *skip_sequence(const char *p) {
        switch (p[1]) {
        case '[':
                for (p += 2; *p >= ' ' && *p < '@';)
                        p++;
                return *p >= '@' && *p <= '~' ? p + 1 : p;
        case ']':
        case 'P':
        case 'X':
        case '^':
        case '_': /* texts for the terminal, up to BEL or ESC \ */
                for (p += 2; *p && *p != '\a' && *p != ESC;)
                        p++;
                return *p == '\a' ? p + 1 : *p == ESC && p[1] == '\\' ? p + 2 : p;
        default: /* others have one letter, after some that say which kind they are */
                for (p++; *p >= ' ' && *p < '0';)
                        p++;
                return *p >= '0' && *p <= '~' ? p + 1 : p;
        }
}

static bool is_style(const char *begin, const char *end) {
        size_t size = (size_t) (end - begin);

        return size >= 3 && size <= STYLE_BYTES_MAX && begin[1] == '[' && end[-1] == 'm' &&
               strspn(begin + 2, "0123456789;:") == size - 3;
}

/* The length of the character at @p if it may be shown, else 0. The control characters of ISO 8859 include one that
 * terminals take for ESC [, as one byte or, in UTF-8, two. */
static size_t shown_length(const char *p) {
        const unsigned char *c = (const unsigned char *) p;
        size_t length = utf8_length(p);

        if (length == 0)
                return *c >= 0xa0;
        if (length == 1)
                return (*c >= ' ' || *c == '\t') && *c != 0x7f;
        return *c == 0xc2 && c[1] < 0xa0 ? 0 : length;
}

bool ansi_next(const char **line, AnsiPart *ret) {
        const char *p = *line;

        while (*p) {
                const char *begin = p;

                if (*p == ESC) {
                        p = skip_sequence(p);
                        if (!is_style(begin, p))
                                continue;
                        *ret = (AnsiPart){ begin, (size_t) (p - begin), true };
                } else if (shown_length(p) > 0) {
                        while (*p && shown_length(p) > 0)
                                p += shown_length(p);
                        *ret = (AnsiPart){ begin, (size_t) (p - begin), false };
                } else {
                        p += MAX(utf8_length(p), (size_t) 1);
                        continue;
                }
                *line = p;
                return true;
        }
        *line = p;
        return false;
}

char *ansi_plain(const char *text) {
        char *plain = malloc(strlen(text) + 1), *end = plain;
        AnsiPart part;

        if (!plain)
                return NULL;
        while (ansi_next(&text, &part))
                if (!part.is_style)
                        end = mempcpy(end, part.text, part.size);
        *end = 0;
        for (char *p = plain; (p = strchr(p, '\t'));)
                *p = ' ';
        return plain;
}
