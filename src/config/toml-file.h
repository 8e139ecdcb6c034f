/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* What it takes of a TOML file to change single values in it and to keep all the rest, byte for byte: which tables
 * and keys there are, and where in the text their values are. */

typedef struct TomlValue {
        size_t table;      /* the table it is in */
        char *key;         /* without quotes, parts joined with dots */
        char *string;      /* what it says; NULL: it is no string */
        bool is_container; /* an array or a table in one line */
        size_t begin, end; /* the value in the text */
} TomlValue;

typedef struct TomlTable {
        char *name; /* as keys are; "" for the top of the file */
        bool is_array;
        size_t end; /* of the line of its header */
} TomlTable;

typedef struct TomlFile {
        TomlTable *tables; /* in the file's order; the first is its top */
        size_t n_tables;
        TomlValue *values;
        size_t n_values;
} TomlFile;

void toml_file_done(TomlFile *file);
#define _cleanup_toml_file_ _cleanup_(toml_file_done)

/* Reads @text, which must live as long as it takes. 0, -ENOMEM, or -EINVAL with @reterr_problem filled in (line and text).
 * What is meant by several definitions of one table is not checked: that is for GitLab Runner. */
int toml_file_parse(const char *text, TomlFile *ret, Problem *reterr_problem);

/* The string that key @key of table @table has; NULL: none, or no string. */
const TomlValue *toml_file_value(const TomlFile *file, size_t table, const char *key);
