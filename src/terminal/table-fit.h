/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* How a table is fitted into a window. */

#define TABLE_COLUMNS_MAX 32

typedef struct FitColumn {
        unsigned rank;  /* 0: always shown; of the others, those with the highest rank are dropped first */
        bool shortens;  /* it can show less of its longest texts */
        size_t heading; /* width of its name */
        size_t width;   /* what it would need; afterwards what it gets, 0: it is not shown */
} FitColumn;

/* Decides what of @n columns, with one blank between two, fits into @available. Columns are dropped before others get
 * very short. Columns that are always shown may not fit. */
void table_fit(FitColumn *columns, size_t n, size_t available);

/* How wide @text is: one for each character. */
size_t table_text_width(const char *text);

/* Replaces *text by its beginning and an ellipsis, @width characters together, if it is longer. 0 or -ENOMEM. */
int table_shorten(char **text, size_t width);
