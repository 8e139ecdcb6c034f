/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A machine writes some files of its own into its root: host name, machine-id, resolv.conf. Where the root is an image's
 * tree, they are not to stay there. What the work in the machine changed of them does stay. */
typedef struct TreeFiles TreeFiles;

/* Before the machine starts: keeps the files as they are in the tree @tree_fd. 0 or -errno. */
int tree_files_save(int tree_fd, TreeFiles **ret);

/* When it has started: what differs now is the machine's. 0 or -errno. */
int tree_files_note(int tree_fd, TreeFiles *files);

/* When it has ended: restores those that are still as the machine made them, and takes the lines of machine
 * @machine_name out of a hosts file that was changed. In place of what was no file there is nothing then. 0, or the first -errno with the others done. */
int tree_files_restore(int tree_fd, const TreeFiles *files, const char *machine_name);

void tree_files_free(TreeFiles *files);
DEFINE_CLEANUP(TreeFiles *, tree_files_free)
#define _cleanup_tree_files_ _cleanup_(tree_files_freep)
