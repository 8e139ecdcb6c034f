/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "tree/inode-table.h"

/* So many files with several links are known at most, in some 64 MB: jobs decide how many there are. */
#define TREE_COUNTED_MAX ((size_t) 1024 * 1024)

/* Called for each entry of a tree: @name in the directory @dir_fd, "." for the tree itself. @depth is how many directories of
 * the tree it is in. A negative result ends the walk. */
typedef int TreeVisit(int dir_fd, const char *name, const struct stat *st, size_t depth, void *userdata);

/* Calls @visit for the tree, or file, @tree_fd and everything in it, a directory before what is in it, and each file once,
 * however many links it has: @counted has those with several links, and may have those of other trees. When it has as many as
 * it may, @visit gets other such files once for each link, with st_blocks of a part that is as large for each of them, rounded
 * up: what is added up is hardly too much, and never too little. Jobs may have
 * filled the tree and may change it meanwhile: nothing but directories is opened, no symlink is followed, what disappears
 * is left out, and the deepest tree takes no more descriptors than one of 64 levels. Stays on the file system of @tree_fd
 * and on subvolumes nested in it. 0 or -errno, also that of @visit. */
int tree_walk(int tree_fd, InodeTable *counted, TreeVisit *visit, void *userdata);
