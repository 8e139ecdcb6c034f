/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/image.h"
#include "image/turn.h"

/* Where images are made, out of sight: `<root_dir>/.staging/<name>/root`. The directory `<name>` is locked (flock) while
 * somebody works in it; unlocked, it is what an interrupted creation left. Its lock is also what everybody holds who
 * changes something of the image's generations (image/publish.h). */
typedef struct Staging {
        char *name;
        char *root_dir;
        char *root_path; /* of the tree that is being made; absolute if @root_dir is */
        char *work_path; /* of a directory for whoever makes the tree, on the same file system: staging_work() */
        bool new_image;  /* publish only if there is no image of that name */
        int images_fd;   /* `<root_dir>` */
        int parent_fd, lock_fd;
} Staging;

/* The tree's name in the directory. */
#define STAGING_TREE "root"

#define STAGING_NONE                                                        \
        (Staging) {                                                         \
                .images_fd = -EBADF, .parent_fd = -EBADF, .lock_fd = -EBADF \
        }

/* Makes and locks the staging directory of image @name, without leftovers, and an empty tree in it: a subvolume where
 * that is possible. If another process has the lock, waits as @turn says (NULL: at most 10 s, and not for one that
 * makes a tree). 0; -EEXIST when there is an image (or anything) of that name; -EBUSY when another process has the
 * lock still; -ECANCELED; or -errno. After 0, call staging_discard(), which removes what was not published, and
 * staging_done(). */
int staging_open(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same for an image that may be there already, and is to get a next generation. */
int staging_open_empty(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same, with a copy of @from, any generation of any image in @root_dir: a snapshot on btrfs, data shared on XFS. When
 * @cancel_fd (negative: none) becomes readable, gives up with -ECANCELED. The caller holds @from, as by
 * generation_hold_reference(). */
int staging_open_copy(const char *root_dir, const char *name, Turn *turn, const Image *from, int cancel_fd,
                      Staging *ret);

/* Only locks, with neither tree nor leftovers. */
int staging_lock(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same, without waiting. */
int staging_try_lock(const char *root_dir, const char *name, Staging *ret);

/* generations_settle() for an image that is locked already; each function that locks has done it. */
int staging_settle(const Staging *staging);

/* A descriptor of the tree, or -errno. */
int staging_tree(const Staging *staging);

/* Makes the empty directory @staging->work_path; a descriptor of it, or -errno. It goes with the staging directory. */
int staging_work(const Staging *staging);

/* Removes the staging directory with all in it and unlocks it: 0 or -errno. */
int staging_discard(Staging *staging);

/* Closes without removing. */
void staging_done(Staging *staging);
#define _cleanup_staging_ _cleanup_(staging_done)

/* Removes what interrupted creations left, and leaves alone what is being made just now. A tree that was current until a
 * publish that was interrupted goes to the old generations instead. With @dry_run only looks. Appends the names to
 * @names. 0, or the first -errno with the others removed. */
int staging_collect(const char *root_dir, bool dry_run, char ***names);
