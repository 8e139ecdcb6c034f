/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* One file that differs between two trees. */
typedef struct Difference {
        const char *path;                    /* below the top, without '/' at the beginning */
        const struct stat *old, *new;        /* NULL: the tree does not have it */
        const char *old_target, *new_target; /* targets of symlinks; NULL for other files */
        bool content;                        /* the content of a regular file differs */
} Difference;

/* Compares all files of two trees by type, mode, owner, size, target, device and content. Contents of equal size and
 * modification time count as equal. In the root of a container, users and groups of the new tree are larger by
 * @new_owner_base; smaller ones count as they are. Follows no symlink and enters no mount. Leaves out files that are
 * removed or replaced meanwhile, as a job that runs does. Calls @on_difference
 * directory by directory, in order of names; a negative result ends the comparison and is returned. 0 or -errno. */
int compare_trees(int old_fd, int new_fd, uint32_t new_owner_base,
                  int (*on_difference)(void *userdata, const Difference *difference), void *userdata);
