/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Makes a fresh root file system, @tree_fd, an image that any number of machines can be made of: without a machine-id,
 * host name or resolver of the machine it was made on, without package lists and downloads, with an /etc/hosts that
 * knows localhost. Nothing outside of the tree is touched, whatever symlinks are in it. 0 or -errno. */
int finish_tree(int tree_fd);

/* Gives the tree a copy of the host's @keyring, an absolute path, at the same path, unless it has one. 0 or -errno. */
int finish_keyring(int tree_fd, const char *keyring);
