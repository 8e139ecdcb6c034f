/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Finds out whether an image has what GitLab's scripts need. Only looks, and follows no symlink out of the tree. Each returns
 * -errno where that could not be found out, such as -EMFILE. */

/* Is there an executable @name in a directory of @path (a value of PATH; NULL: the usual one) of tree @tree_fd? 1 or 0. */
int image_has_program(int tree_fd, const char *path, const char *name);

/* Does it have bash where the agent looks for it? 1 or 0. */
int image_has_bash(int tree_fd);

/* The program of Git LFS, without which GitLab's stages leave large files out. image_lacks() does not ask for it, as few
 * projects need it. */
#define IMAGE_LARGE_FILES_PROGRAM "git-lfs"

/* *ret becomes the first of "git", "bash" and "certificates" (of CAs), which GitLab's own stages need, that the image lacks
 * (static text); NULL: it has all. @environment is the image's own, for its PATH; or NULL. 0. */
int image_lacks(int tree_fd, char *const *environment, const char **ret);
