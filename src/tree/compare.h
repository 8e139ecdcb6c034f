/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* One file that differs between two trees. */
typedef struct Difference {
        const char *path;                    /* below the top, without '/' at the beginning */
        const struct stat *old, *new;        /* NULL: it is not there */
        const char *old_target, *new_target; /* of symlinks, else NULL */
        bool content;                        /* the content of a regular file differs */
} Difference;

/* Compares all files of two trees by type, mode, owner, size, target, device and content; files of equal size and
 * modification time count as equal. @new_owner_base is what users and groups of the new tree are larger by, as in the root of a
 * machine; others count as they are. Follows no symlink and enters no mount. Calls @on_difference directory by directory, in
 * order of names; a negative result ends the comparison and is returned. 0 or -errno. */
int compare_trees(int old_fd, int new_fd, uint32_t new_owner_base,
                  int (*on_difference)(void *userdata, const Difference *difference), void *userdata);
