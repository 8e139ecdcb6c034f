/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/call.h"

/* Files of a job, out of its container and into it. */

/* Which files of the project are meant, as caches and artifacts say it. The lists are of texts, expanded. */
typedef struct FileSelection {
        const Value *paths, *exclude; /* globs; or NULL */
        bool untracked;               /* also what git does not track, */
        char *const *tracked;         /* which is all but these: sorted, NULL-terminated; or NULL */
} FileSelection;

/* Whether the file or directory @path is meant: a glob matches it or a directory that it is in, and no glob of those that
 * are left out matches it. Pure. */
bool selection_has(const FileSelection *selection, const char *path);

/* @glob as it is compared with paths in the project, or NULL with the reason in *reterr_why ("is outside of the project"). In
 * the job's arena. */
const char *selection_glob(const LocalJob *job, const char *glob, const char **reterr_why);

/* The list of texts under @key, each made into a glob; what is outside is said in the log. */
const Value *selection_globs(Caller *caller, const Value *map, const char *key);

/* Takes those files out: *ret_fd is a bundle (wire/bundle.h) without a name in @directory, at its beginning, and *ret_n how
 * many files and directories it has. What matches nothing is said in the log. 0; -EFBIG, with the reason in the log: their
 * content is larger than @caller allows, whatever part of it are holes, or they are too many, or the list of all that may be
 * meant is too long; what caller_check() returns when the job is to end; or another -errno. */
int files_take(Caller *caller, const FileSelection *selection, const char *directory, int *ret_fd, size_t *ret_n);

/* Puts the files of an archive at @path into the project; @directory is for a file without a name. 0; -ENOENT: there is no such
 * archive; or another -errno, with the reason in the log: also of caller_check(), when the job is to end. */
int files_put(Caller *caller, const char *path, const char *directory);
