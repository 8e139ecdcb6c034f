/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/yaml-reader.h"
#include "definition/definition-table.h"

/* The two halves of definition_parse(): definition-read.c reads the variables; definition-complete.c checks them
 * against each other and completes paths. */

/* Place of a variable in the file; a line of 0: it is not there. */
typedef struct Mark {
        unsigned line, column;
} Mark;

typedef struct DefinitionReader {
        YamlReader yaml;
        Definition *definition;
        Mark rows[DEFINITION_ROWS_MAX], settings[SETTINGS_MAX];
        bool vars_seen;
        bool ours_seen; /* a name like ours was in the part that was skipped */
} DefinitionReader;

/* Notes in the reader's Problem what is wrong at @mark, a place that was read before. Returns -EINVAL. */
int definition_fail_at(DefinitionReader *reader, Mark mark, const char *format, ...) _printf_(3, 4);

/* Checks the variables that were read against each other, finds out the source and completes paths. Does not need the
 * reader's file any more. 0, -EINVAL with the reader's Problem filled in, or -ENOMEM. */
int definition_complete(DefinitionReader *reader);
