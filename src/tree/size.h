/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Bytes on disk, each file counted once however many links it has; stays on the file system of @tree_fd and on
 * the subvolumes nested in it. Files that disappear meanwhile do not matter. 0 or -errno. */
int tree_size(int tree_fd, uint64_t *ret_bytes);
