/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints tables for people and JSON for programs, for the commands that list something. Nothing else calls
 * libsmartcols. */

#include "terminal/table.h"

#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/library.h"
#include "base/log.h"
#include "base/string.h"
#include "terminal/table-fit.h"
#include "terminal/window.h"

#define FUNCTIONS(X)                  \
        X(scols_new_table)            \
        X(scols_unref_table)          \
        X(scols_table_new_column)     \
        X(scols_column_set_json_type) \
        X(scols_table_set_name)       \
        X(scols_table_enable_json)    \
        X(scols_table_new_line)       \
        X(scols_line_set_data)        \
        X(scols_print_table)

static struct { FUNCTIONS(LIBRARY_POINTER) } scols;

struct Table {
        const char *name;
        bool json;
        TableColumn columns[TABLE_COLUMNS_MAX];
        size_t n_columns;
        char ***rows; /* each has as many cells as there are columns, NULL where there is nothing */
        size_t n_rows, allocated;
};

static void free_row(const Table *table, char **row) {
        for (size_t i = 0; row && i < table->n_columns; i++)
                free(row[i]);
        free(row);
}

void table_free(Table *table) {
        if (!table)
                return;
        for (size_t i = 0; i < table->n_rows; i++)
                free_row(table, table->rows[i]);
        free(table->rows);
        free(table);
}

int table_new(const char *name, const TableColumn *columns, bool json, Table **ret) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

        int r = library_load(LIBRARY_SMARTCOLS, names, (void **) &scols);
        if (r < 0)
                return r;
        (void) setlocale(LC_CTYPE, ""); /* libsmartcols shows what is not of it as bytes */
        _cleanup_table_ Table *table = calloc(1, sizeof(Table));
        if (!table)
                return -ENOMEM;
        table->name = name;
        table->json = json;
        for (const TableColumn *column = columns; column->name && table->n_columns < TABLE_COLUMNS_MAX; column++)
                table->columns[table->n_columns++] = *column;
        *ret = TAKE_PTR(table);
        return 0;
}

int table_new_logged(const char *name, const TableColumn *columns, bool json, Table **ret) {
        int r = table_new(name, columns, json, ret);

        if (r == -ENOENT)
                return log_error_errno(r, "libsmartcols.so.1 is not installed (package libsmartcols1)");
        return r < 0 ? log_error_errno(r, "Cannot make a table: %m") : 0;
}

int table_add(Table *table, const char *const cells[]) {
        if (table->n_rows == table->allocated) {
                size_t allocated = MAX(table->allocated * 2, (size_t) 16);
                char ***longer = reallocarray(table->rows, allocated, sizeof(*longer));
                if (!longer)
                        return -ENOMEM;
                table->rows = longer;
                table->allocated = allocated;
        }
        char **row = calloc(table->n_columns, sizeof(char *));
        if (!row)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_columns; i++) {
                if (!cells[i])
                        continue;
                row[i] = strdup(cells[i]);
                if (!row[i]) {
                        free_row(table, row);
                        return -ENOMEM;
                }
        }
        table->rows[table->n_rows++] = row;
        return 0;
}

static bool is_shown(const Table *table, const TableColumn *column) {
        return table->json ? !column->only_table : !column->only_json;
}

/* How wide each column is to be; 0: it is left out. */
static void fit(const Table *table, FitColumn ret[static TABLE_COLUMNS_MAX]) {
        for (size_t i = 0; i < table->n_columns; i++) {
                const TableColumn *column = &table->columns[i];
                size_t width = 0;

                for (size_t j = 0; j < table->n_rows; j++)
                        if (table->rows[j][i])
                                width = MAX(width, table_text_width(table->rows[j][i]));
                ret[i] = (FitColumn){ .rank = column->rank,
                                      .shortens = column->shortens,
                                      .heading = table_text_width(column->name) };
                if (is_shown(table, column) && (width > 0 || column->rank == 0 || table->json))
                        ret[i].width = MAX(width, ret[i].heading);
        }
        if (!table->json)
                table_fit(ret, table->n_columns, window_width(STDOUT_FILENO));
}

static int add_columns(const Table *table, const FitColumn *fits, struct libscols_table *out) {
        for (size_t i = 0; i < table->n_columns; i++) {
                const TableColumn *column = &table->columns[i];

                if (fits[i].width == 0)
                        continue;
                struct libscols_column *c = scols.scols_table_new_column(
                        out, column->name, 0, column->type == COLUMN_NUMBER ? SCOLS_FL_RIGHT : 0);
                if (!c)
                        return -ENOMEM;
                if (column->type != COLUMN_NUMBER)
                        continue;
                int r = scols.scols_column_set_json_type(c, SCOLS_JSON_NUMBER);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_row(const Table *table, const FitColumn *fits, char **row, struct libscols_table *out) {
        struct libscols_line *line = scols.scols_table_new_line(out, NULL);
        size_t n = 0;

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_columns; i++) {
                if (fits[i].width == 0)
                        continue;
                if (row[i]) {
                        int r = table->json ? 0 : table_shorten(&row[i], fits[i].width);
                        if (r < 0)
                                return r;
                        r = scols.scols_line_set_data(line, n, row[i]);
                        if (r < 0)
                                return r;
                }
                n++;
        }
        return 0;
}

static int fill(const Table *table, struct libscols_table *out) {
        FitColumn fits[TABLE_COLUMNS_MAX];

        int r = scols.scols_table_set_name(out, table->name);
        if (r < 0)
                return r;
        r = scols.scols_table_enable_json(out, table->json);
        if (r < 0)
                return r;
        fit(table, fits);
        r = add_columns(table, fits, out);
        if (r < 0)
                return r;
        for (size_t i = 0; i < table->n_rows; i++) {
                r = add_row(table, fits, table->rows[i], out);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int fill_and_print(Table *table, struct libscols_table *out) {
        int r = fill(table, out);
        if (r < 0)
                return r;
        r = scols.scols_print_table(out);
        return MIN(r, 0);
}

int table_print(Table *table) {
        if (table->n_rows == 0 && !table->json)
                return 0;
        struct libscols_table *out = scols.scols_new_table();
        if (!out)
                return -ENOMEM;
        int r = fill_and_print(table, out);
        scols.scols_unref_table(out);
        return r;
}
