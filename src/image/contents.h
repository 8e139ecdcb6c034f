/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Finds out whether an image has what GitLab's scripts need. Only looks, and follows no symlink out of the tree. */

/* Is there an executable @name in a directory of @path (a value of PATH; NULL: the usual one) of tree @tree_fd? */
bool image_has_program(int tree_fd, const char *path, const char *name);

/* Does it have bash where the agent looks for it? */
bool image_has_bash(int tree_fd);

/* Does it have CA certificates where programs look for them? */
bool image_has_certificates(int tree_fd);

/* Returns the first of "git", "bash" and "certificates", which GitLab's own stages need, that the image lacks (static
 * text); NULL: it has all. @environment is the image's own, for its PATH; or NULL. */
const char *image_lacks(int tree_fd, char *const *environment);
