/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A machine writes some files into its root: host name, machine-id, resolv.conf. If the root is an image's tree, they
 * must not stay there; but what the work in the machine changed of them must. */
typedef struct TreeFiles TreeFiles;

/* Before the machine starts: remembers these files of the tree @tree_fd. 0 or -errno. */
int tree_files_save(int tree_fd, TreeFiles **ret);

/* After it has started: remembers what the machine wrote. 0 or -errno. */
int tree_files_note(int tree_fd, TreeFiles *files);

/* After it has ended: restores the files that are still as the machine wrote them, and removes the lines of machine
 * @machine_name from a hosts file that was changed. What was no file before is removed. 0, or the first -errno with the
 * others done. */
int tree_files_restore(int tree_fd, const TreeFiles *files, const char *machine_name);

void tree_files_free(TreeFiles *files);
DEFINE_CLEANUP(TreeFiles *, tree_files_free)
#define _cleanup_tree_files_ _cleanup_(tree_files_freep)
