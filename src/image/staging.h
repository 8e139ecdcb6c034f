/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/image.h"
#include "image/turn.h"

/* Images are made in `<root_dir>/.staging/<name>/root`, where no job finds them. The directory `<name>` is locked (flock)
 * while a process works in it; if it is not locked, an interrupted creation left it. Every process that changes anything
 * about the image's generations (image/publish.h) holds this lock, too. */
typedef struct Staging {
        char *name;
        char *root_dir;
        char *root_path; /* of the tree that is being made; absolute if @root_dir is */
        char *work_path; /* of a directory for temporary files, on the same file system: staging_work() */
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

/* Makes and locks the staging directory of image @name, removes leftovers, and makes an empty tree in it: a subvolume if the
 * file system has them. If another process has the lock, waits as @turn says (NULL: at most 10 s, and not for a process
 * that makes a tree). 0; -EEXIST: something of that name exists already; -EBUSY: another process still has the lock;
 * -ECANCELED; or another -errno. After 0, call staging_discard(), which removes what was not published, and
 * staging_done(). */
int staging_open(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same for the next generation of an image that may exist already. */
int staging_open_empty(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same with a copy of @from, any generation of any image in @root_dir, which the caller holds
 * (generation_hold_reference()). The copy is a snapshot on btrfs, and shares data on XFS. When @cancel_fd (negative: none)
 * becomes readable, gives up with -ECANCELED. */
int staging_open_copy(const char *root_dir, const char *name, Turn *turn, const Image *from, int cancel_fd,
                      Staging *ret);

/* Only locks, and removes leftovers: makes no tree. */
int staging_lock(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same, without waiting. */
int staging_try_lock(const char *root_dir, const char *name, Staging *ret);

/* Who has the lock of the image that @reference, NAME or NAME@NUMBER, is of: for the message of a process that found the
 * image's tree being removed. *ret has no PID where that is not known. */
void staging_holder(const char *root_dir, const char *reference, TurnHolder *ret);

/* generations_settle() for an image that is locked. The functions that lock have called it. */
int staging_settle(const Staging *staging);

/* A descriptor of the tree, or -errno. */
int staging_tree(const Staging *staging);

/* Makes the empty directory @staging->work_path: its descriptor, or -errno. staging_discard() removes it. */
int staging_work(const Staging *staging);

/* Removes the staging directory with all in it and unlocks it: 0 or -errno. */
int staging_discard(Staging *staging);

/* Closes without removing. */
void staging_done(Staging *staging);
#define _cleanup_staging_ _cleanup_(staging_done)

/* Removes what interrupted creations left, but nothing that is being made just now. A tree that was current until an
 * interrupted publish is moved to the old generations. With @dry_run it only looks. Appends the names of the images to
 * @names. 0, or the first -errno with the others removed. */
int staging_collect(const char *root_dir, bool dry_run, char ***names);
