/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

typedef struct ExportResult {
        uint64_t n_copied;   /* files, directories and symlinks */
        uint64_t n_left_out; /* what is none of these, or of the kernel's own file systems, such as /proc */
} ExportResult;

/* Copies @path out of a tree that somebody hostile owns and may change meanwhile: no symlink leads out of @root_fd. What is
 * copied is new, @name in @target_fd, belongs to this process's user, and has neither set-user-ID nor set-group-ID bits. Symlinks
 * below @path are copied as they are, and not followed. 0; -EEXIST: there is such a name; -ENOTSUP: @path is left out; or another
 * -errno. *ret is filled in in either case, and what was copied until then stays. */
int export_tree(int root_fd, const char *path, int target_fd, const char *name, ExportResult *ret);
