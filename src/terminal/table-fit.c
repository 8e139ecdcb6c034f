/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Computes which columns of a table fit into a window, and how wide they are. table.c calls this. Only numbers and texts: it
 * prints nothing. */

#include "terminal/table-fit.h"

#include <stdlib.h>

#include "base/string.h"

/* A shorter part of a text would say nothing. */
#define SHORTENED_MIN ((size_t) 12)

/* "…" in UTF-8 */
#define ELLIPSIS "\xe2\x80\xa6"

static size_t least(const FitColumn *column) {
        return column->shortens ? MIN(column->width, MAX(SHORTENED_MIN, column->heading)) : column->width;
}

/* The width of all columns that are shown, whole or as short as they can be. */
static size_t sum(const FitColumn *columns, size_t n, bool shortened) {
        size_t total = 0;

        for (size_t i = 0; i < n; i++)
                if (columns[i].width > 0)
                        total += (shortened ? least(&columns[i]) : columns[i].width) + (total > 0);
        return total;
}

/* The column to go next; NULL: none can. */
static FitColumn *last_in_rank(FitColumn *columns, size_t n) {
        FitColumn *found = NULL;

        for (size_t i = 0; i < n; i++)
                if (columns[i].width > 0 && columns[i].rank > 0 && (!found || columns[i].rank > found->rank))
                        found = &columns[i];
        return found;
}

/* The column that can be shortened most; NULL: none can. */
static FitColumn *widest(FitColumn *columns, size_t n, const size_t *minimum) {
        FitColumn *found = NULL;

        for (size_t i = 0; i < n; i++)
                if (columns[i].width > minimum[i] && (!found || columns[i].width > found->width))
                        found = &columns[i];
        return found;
}

void table_fit(FitColumn *columns, size_t n, size_t available) {
        size_t minimum[TABLE_COLUMNS_MAX];
        FitColumn *column;

        while (sum(columns, n, true) > available && (column = last_in_rank(columns, n)))
                column->width = 0;
        for (size_t i = 0; i < n; i++)
                minimum[i] = columns[i].width > 0 ? least(&columns[i]) : 0;
        while (sum(columns, n, false) > available && (column = widest(columns, n, minimum)))
                column->width--;
}

static bool is_continuation(char c) {
        return ((unsigned char) c & 0xc0) == 0x80;
}

size_t table_text_width(const char *text) {
        size_t width = 0;

        for (; *text; text++)
                width += !is_continuation(*text);
        return width;
}

int table_shorten(char **text, size_t width) {
        char *end = *text, *shorter;

        if (table_text_width(*text) <= width || width == 0)
                return 0;
        for (size_t i = 1; i < width; i++)
                for (end++; is_continuation(*end); end++)
                        ;
        int r = string_printf(&shorter, "%.*s%s", (int) (end - *text), *text, MB_CUR_MAX > 1 ? ELLIPSIS : "~");
        if (r < 0)
                return r;
        free(*text);
        *text = shorter;
        return 0;
}
