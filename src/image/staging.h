/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Where images are made, out of sight: `<root_dir>/.staging/<name>/root`. The directory `<name>` is locked (flock) while
 * somebody works in it; unlocked, it is what an interrupted creation left. */
typedef struct Staging {
        char *name;
        char *root_path; /* of the tree that is being made; absolute if @root_dir is */
        int images_fd;   /* `<root_dir>` */
        int parent_fd, lock_fd;
} Staging;

#define STAGING_NONE                                                        \
        (Staging) {                                                         \
                .images_fd = -EBADF, .parent_fd = -EBADF, .lock_fd = -EBADF \
        }

/* Makes and locks the staging directory of image @name, without leftovers, and an empty tree in it: a subvolume where
 * that is possible. 0; -EEXIST when there is an image (or anything) of that name; -EBUSY when it is being made by
 * another process; or -errno. */
int staging_open(const char *root_dir, const char *name, Staging *ret);

/* A descriptor of the tree, or -errno. */
int staging_tree(const Staging *staging);

/* Gives the finished tree the image's name, once it is on disk. 0; -EEXIST when something has that name by now; or
 * -errno. */
int staging_publish(Staging *staging);

/* Removes the staging directory with all in it and unlocks it: 0 or -errno. */
int staging_discard(Staging *staging);

/* Closes without removing. */
void staging_done(Staging *staging);
#define _cleanup_staging_ _cleanup_(staging_done)

/* Removes what interrupted creations left, and leaves alone what is being made just now. With @dry_run only looks.
 * Appends the names to @names. 0, or the first -errno with the others removed. */
int staging_collect(const char *root_dir, bool dry_run, char ***names);
