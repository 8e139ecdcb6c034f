/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"

/* One row of the table of variables that are about images; those that are settings of containers are not in it. */
typedef struct DefinitionRow {
        SettingInfo info;  /* its offset is in Definition */
        SourceKind source; /* the variable chooses this kind of source; SOURCE_NONE: it does not choose */
        SourceKind of;     /* the variable is only for images of this kind of source; SOURCE_NONE: for all */
} DefinitionRow;

/* Upper limit of the number of rows. */
#define DEFINITION_ROWS_MAX 32

/* Returns row @i, or NULL after the last. */
const DefinitionRow *definition_row(size_t i);
/* Returns the address of the value of @row in @definition. */
void *definition_field(const Definition *definition, const DefinitionRow *row);
/* Returns the row of the variable that chooses @source. */
const DefinitionRow *definition_source_row(SourceKind source);

/* Returns the variable that @typed may have meant, both without the prefix (static text), or NULL. */
const char *definition_nearest(const char *typed);

/* Completes the text of `oci` to a reference for skopeo, with a transport; relative paths start at @directory. *ret is
 * to be freed. 0; -EINVAL: it cannot be a reference; or -ENOMEM. */
int definition_oci_reference(const char *text, const char *directory, char **ret);
/* Makes @path absolute: if it is relative, it starts at @directory (may be NULL). *ret is to be freed. 0 or -ENOMEM. */
int definition_path(const char *path, const char *directory, char **ret);
