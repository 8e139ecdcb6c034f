/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Turns the fresh root file system @tree_fd into an image: removes its machine-id, host name and resolver
 * configuration, package lists and downloads, and gives it an /etc/hosts with localhost. Touches nothing outside the
 * tree, whatever symlinks it has. 0, or -errno with the tree partly changed. */
int finish_tree(int tree_fd);

/* Copies the host's file @keyring, an absolute path, to the same path in the tree, unless the tree has such a file. 0
 * or -errno. */
int finish_keyring(int tree_fd, const char *keyring);
