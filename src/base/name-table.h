/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Finds what belongs to a name, quickly however many there are: for lists that somebody may make as long as they like. Names
 * and values are the caller's, and have to stay. */
typedef struct NameTable {
        void *root;
        const struct NameTable *outer; /* asked for names that are not here; may be NULL */
} NameTable;

/* Puts @value (not NULL) under the first @n bytes of @name, in place of what is there. 0 or -ENOMEM. */
int name_table_set(NameTable *table, const char *name, size_t n, const void *value);
/* What was put under the first @n bytes of @name; NULL: nothing. */
const void *name_table_find(const NameTable *table, const char *name, size_t n);
void name_table_done(NameTable *table);
#define _cleanup_name_table_ _cleanup_(name_table_done)
