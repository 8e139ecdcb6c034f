/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Characters of UTF-8: where they end, how wide they are. Called wherever text of others is printed in columns or put into
 * a format that must be valid. It knows nothing of the user's locale, and changes none. */

#include "base/utf8.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

size_t utf8_length(const char *text) {
        const unsigned char *p = (const unsigned char *) text;
        size_t n = p[0] < 0x80                 ? 1 :
                   p[0] >= 0xc2 && p[0] < 0xe0 ? 2 :
                   p[0] >= 0xe0 && p[0] < 0xf0 ? 3 :
                   p[0] >= 0xf0 && p[0] < 0xf5 ? 4 :
                                                 0;

        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        /* overlong forms, surrogates, and what is beyond Unicode */
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
            (p[0] == 0xf4 && p[1] > 0x8f))
                return 0;
        return n;
}

size_t utf8_decode(const char *text, uint32_t *ret) {
        const size_t n = utf8_length(text);

        if (n == 0)
                return 0;
        uint32_t code = n == 1 ? (unsigned char) text[0] : (unsigned char) text[0] & (0xffU >> (n + 1));
        for (size_t i = 1; i < n; i++)
                code = code << 6 | ((unsigned char) text[i] & 0x3f);
        *ret = code;
        return n;
}

unsigned utf8_columns(const char *text, size_t length) {
        static locale_t locale;
        uint32_t code;

        if (length <= 1 || utf8_decode(text, &code) == 0)
                return 1;
        if (!locale)
                locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
        if (!locale)
                return 1;
        locale_t before = uselocale(locale);
        int columns = wcwidth((wchar_t) code);
        (void) uselocale(before);
        return columns < 0 ? 1 : (unsigned) columns;
}

size_t utf8_fit(const char *text, unsigned columns, unsigned *ret_columns) {
        unsigned used = 0;
        size_t size = 0;

        while (text[size]) {
                size_t length = utf8_length(text + size);
                unsigned width = utf8_columns(text + size, length);

                if (used + width > columns)
                        break;
                used += width;
                size += MAX(length, (size_t) 1);
        }
        *ret_columns = used;
        return size;
}
