/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Makes an image of the fresh root file system @tree_fd: removes the machine-id, host name and resolver of the system that it
 * was made on, package lists and downloads, and gives it an /etc/hosts with localhost. Touches nothing outside the tree,
 * whatever symlinks are in it. 0 or -errno. */
int finish_tree(int tree_fd);

/* Copies the host's file @keyring, an absolute path, to the same path in the tree, unless it is there. 0 or -errno. */
int finish_keyring(int tree_fd, const char *keyring);
