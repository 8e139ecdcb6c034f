/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "tree/inode-table.h"

/* Called for each entry of a tree: @name in the directory @dir_fd, "." for the tree itself. A negative result ends the
 * walk. */
typedef int TreeVisit(int dir_fd, const char *name, const struct stat *st, void *userdata);

/* Directories nested deeper than this are not entered: no real tree is so deep, and each level holds a descriptor. */
#define TREE_WALK_DEPTH_MAX 256

/* Calls @visit for the tree, or file, @tree_fd and everything in it, a directory before what is in it, and each file once,
 * however many links it has: @counted has those with several links, and may have those of other trees. Jobs may have
 * filled the tree and may change it meanwhile: nothing but directories is opened, no symlink is followed, and what
 * disappears is left out. Stays on the file system of @tree_fd and on subvolumes nested in it. 0; 1: there are directories
 * that were too deep to enter; or -errno, also that of @visit. */
int tree_walk(int tree_fd, InodeTable *counted, TreeVisit *visit, void *userdata);
