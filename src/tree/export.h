/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

typedef struct ExportResult {
        uint64_t n_copied;   /* files, directories and symlinks */
        uint64_t n_left_out; /* other types, files of the kernel's own file systems, such as /proc, and directories that
                              * are nested too deep */
} ExportResult;

/* Copies @path out of a tree that a hostile owner may change meanwhile; no symlink leads out of @root_fd. The copy
 * is @name in @target_fd. It belongs to this process's user, and has neither set-user-ID nor set-group-ID bits.
 * Symlinks below @path are copied as they are, and not followed. 0; -EEXIST: @name exists; -ENOTSUP: @path is a file
 * that is left out; or another -errno. *ret is filled in in every case, and after a failure what was copied until
 * then stays. */
int export_tree(int root_fd, const char *path, int target_fd, const char *name, ExportResult *ret);
