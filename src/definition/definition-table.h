/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"

/* One row of the table of variables that are of images, not of machines. Defaults are what a NULL or the row says. */
typedef struct DefinitionRow {
        SettingInfo info;  /* its offset is in Definition */
        SourceKind source; /* the row says where the image comes from; SOURCE_NONE: it does not */
        SourceKind of;     /* the row is for images from there only; SOURCE_NONE: for all */
} DefinitionRow;

/* The table has fewer rows than this. */
#define DEFINITION_ROWS_MAX 32

/* Row @i, or NULL after the last. */
const DefinitionRow *definition_row(size_t i);
/* Where the value of @row is in @definition. */
void *definition_field(const Definition *definition, const DefinitionRow *row);
/* The row that says that an image comes from @source. */
const DefinitionRow *definition_source_row(SourceKind source);

/* What may have been meant by the variable @typed, given without the prefix: a name without it (static), or NULL. */
const char *definition_nearest(const char *typed);

/* Text of `oci` as skopeo wants it, with a transport, to be freed: 0, -EINVAL or -ENOMEM. Paths in it are taken from
 * below @directory. */
int definition_oci_reference(const char *text, const char *directory, char **ret);
/* @path, from below @directory (may be NULL) when it is relative, as a new string: 0 or -ENOMEM. */
int definition_path(const char *path, const char *directory, char **ret);
