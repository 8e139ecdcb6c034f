/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* One file that two trees do not have in common. */
typedef struct Difference {
        const char *path;                    /* below the top, without '/' at the beginning */
        const struct stat *old, *new;        /* NULL: it is not there */
        const char *old_target, *new_target; /* of symlinks, else NULL */
        bool content;                        /* a regular file has another content */
} Difference;

/* Compares all files of two trees by type, mode, owner, size, target, device and content (which is taken as equal where
 * size and time of modification are). No symlink is followed and no mount entered. @on_difference is called in the order
 * of directories, names sorted; what it returns, if negative, ends the comparison. 0 or -errno. */
int compare_trees(int old_fd, int new_fd, int (*on_difference)(void *userdata, const Difference *difference),
                  void *userdata);
