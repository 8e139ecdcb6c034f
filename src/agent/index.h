/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* An index of git (gitformat-index(5), version 2) that gets what git notes of files, so that git need not read them again. */
typedef struct GitIndex {
        unsigned char *data; /* NULL: none */
        size_t size;
        size_t *entries; /* where each of them begins */
        size_t n;
} GitIndex;

/* Takes over @data, also on failure. 0; -EBADMSG: it is no such index, and @ret has it as it is, without entries; -ENOMEM. */
int index_init(GitIndex *ret, unsigned char *data, size_t size);
void index_done(GitIndex *index);

/* Notes what @st says of the file @path, which must be as the entry says. False: there is no such entry. *next, at
 * first 0, is the caller's: quick if paths come in order. Several threads may note things of different files. */
bool index_note(const GitIndex *index, size_t *next, const char *path, const struct stat *st);

/* Computes the checksum at the end anew. Call it before @data is written. */
void index_finish(GitIndex *index);
