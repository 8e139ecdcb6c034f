/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What commands list: a table for people, or JSON for programs, by libsmartcols. */

typedef enum ColumnType { COLUMN_TEXT, COLUMN_NUMBER /* right-aligned; a number in JSON */ } ColumnType;

typedef struct TableColumn {
        const char *name; /* as the heading shows it, and as the key in JSON */
        ColumnType type;
        unsigned rank;   /* in a narrow window, columns with the highest rank are dropped first; 0: never dropped */
        bool only_json;  /* people do not see it */
        bool only_table; /* programs do not */
        bool shortens;   /* long texts may get an ellipsis */
} TableColumn;

typedef struct Table Table;

/* A table with @columns (ended by one without a name, at most TABLE_COLUMNS_MAX); @name is the array's in JSON. 0;
 * -ENOENT when libsmartcols is not installed; or -errno. */
int table_new(const char *name, const TableColumn *columns, bool json, Table **ret);
/* The same, logged. */
int table_new_logged(const char *name, const TableColumn *columns, bool json, Table **ret);
void table_free(Table *table);
DEFINE_CLEANUP(Table *, table_free)
#define _cleanup_table_ _cleanup_(table_freep)

/* Adds a row with one text for each column (NULL: an empty cell), which it copies. 0 or -errno. */
int table_add(Table *table, const char *const cells[]);

/* Prints the table to stdout; without rows, only JSON prints anything. On a terminal it is fitted into the window,
 * and columns with a rank that have no text at all are left out. 0 or -errno. */
int table_print(Table *table);
