/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What an image has for the scripts that GitLab writes. Only looks, and follows no symlink out of the tree. */

/* Is there an executable @name in a directory of @path (a value of PATH; NULL: the usual one) of tree @tree_fd? */
bool image_has_program(int tree_fd, const char *path, const char *name);

/* Is there a bash where the agent looks for one? */
bool image_has_bash(int tree_fd);

/* Does it have certificates of authorities, where programs look for them? */
bool image_has_certificates(int tree_fd);

/* The first of what GitLab's own stages need and the image does not have: "git", "bash" or "certificates"; NULL: it has all.
 * Static. @environment is the image's own, for its PATH; or NULL. */
const char *image_lacks(int tree_fd, char *const *environment);
