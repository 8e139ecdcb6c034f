/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* Where a file comes from, which decides what its own includes mean. */
typedef struct Origin {
        const PipelineRoot *root; /* NULL: the project itself */
        bool no_project;          /* a file of a server, or a template, which has no project and no variables */
} Origin;

/* One file that an include asks for. */
typedef struct IncludeFile {
        Origin origin;
        const char *path;        /* in the origin's tree */
        const char *second_path; /* tried if @path does not exist; or NULL */
        const char *name;        /* as messages call it: without what may be secret */
        const Value *inputs;     /* or NULL */
        const Value *component;  /* what "component." means in the file, or NULL */
        Place place;
} IncludeFile;

/* Lists the files that @include (the value of "include", or NULL) in a file of @origin asks for, in order. 0 or -EINVAL
 * with problems noted. */
int include_entries(Context *context, const Origin *origin, const Value *include, IncludeFile **ret_files,
                    size_t *ret_n);
