/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints tables for people and JSON for programs, for the commands that list something. Nothing else calls
 * libsmartcols. */

#include "cli/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <time.h>

#include "base/library.h"
#include "base/log.h"

#define FUNCTIONS(X)                  \
        X(scols_new_table)            \
        X(scols_unref_table)          \
        X(scols_table_new_column)     \
        X(scols_column_set_json_type) \
        X(scols_table_set_name)       \
        X(scols_table_enable_json)    \
        X(scols_table_new_line)       \
        X(scols_line_set_data)        \
        X(scols_table_is_empty)       \
        X(scols_print_table)

static struct { FUNCTIONS(LIBRARY_POINTER) } scols;

struct Table {
        struct libscols_table *scols;
        size_t n_columns;
        bool json;
};

void table_free(Table *table) {
        if (!table)
                return;
        if (table->scols)
                scols.scols_unref_table(table->scols);
        free(table);
}

int table_new(const char *name, const TableColumn *columns, bool json, Table **ret) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

        int r = library_load(LIBRARY_SMARTCOLS, names, (void **) &scols);
        if (r < 0)
                return r;
        _cleanup_table_ Table *table = calloc(1, sizeof(Table));
        if (!table)
                return -ENOMEM;
        table->json = json;
        table->scols = scols.scols_new_table();
        if (!table->scols)
                return -ENOMEM;
        r = scols.scols_table_set_name(table->scols, name);
        if (r < 0)
                return r;
        r = scols.scols_table_enable_json(table->scols, json);
        if (r < 0)
                return r;
        for (const TableColumn *column = columns; column->name; column++) {
                struct libscols_column *c = scols.scols_table_new_column(
                        table->scols, column->name, 0, column->type == COLUMN_NUMBER ? SCOLS_FL_RIGHT : 0);
                if (!c)
                        return -ENOMEM;
                if (column->type == COLUMN_NUMBER)
                        r = scols.scols_column_set_json_type(c, SCOLS_JSON_NUMBER);
                if (r < 0)
                        return r;
                table->n_columns++;
        }
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
        struct libscols_line *line = scols.scols_table_new_line(table->scols, NULL);
        int r = 0;

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < table->n_columns; i++)
                if (cells[i])
                        r = scols.scols_line_set_data(line, i, cells[i]);
        return r;
}

int table_print(Table *table) {
        if (scols.scols_table_is_empty(table->scols) && !table->json)
                return 0;
        int r = scols.scols_print_table(table->scols);
        return MIN(r, 0);
}

const char *format_time(uint64_t usec, bool json, char ret[static FORMAT_TIME_BYTES]) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (json)
                strftime(ret, FORMAT_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
        else
                strftime(ret, FORMAT_TIME_BYTES, "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &tm));
        return ret;
}
