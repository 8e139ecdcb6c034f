/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/sources-bundle.h"

/* Which files of the working copy are as the last commit has them: all tracked ones but those in a list. */
typedef struct SourcesCompared {
        struct timespec at; /* the beginning: what changes later is not known of */
        bool known;
        char **changed; /* sorted */
        char **next;
} SourcesCompared;

/* Compares the tracked files with the commit that is checked out, which there must be. Filters are the user's only. 0;
 * -ENOENT: git failed, and nothing is known; or another -errno. */
int sources_compare(const SourcesRequest *request, SourcesCompared *ret);
void sources_compared_done(SourcesCompared *compared);
#define _cleanup_sources_compared_ _cleanup_(sources_compared_done)

/* Was the tracked file @path as the commit has it? Paths must come in order. */
bool sources_compared_clean(SourcesCompared *compared, const char *path);
