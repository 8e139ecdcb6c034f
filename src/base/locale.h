/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The value of LANG for programs of the tree @root_fd: C.UTF-8 if it has that, or needs no files for it; else en_US.UTF-8, or
 * plain C. perl and others warn at each start if a locale is missing. Only reads, follows no symlink out of the tree, never
 * waits. Static text. */
const char *locale_of_tree(int root_fd);
