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
        char *root_path; /* path of the tree that is being made; absolute if root_dir is */
        char *work_path; /* path of the directory that staging_work() makes */
        bool new_image;  /* publish only if there is no image of that name */
        int images_fd;   /* `<root_dir>` */
        int parent_fd, lock_fd;
} Staging;

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

/* The same, but the tree is a copy of @from, any generation of any image in @root_dir, which the caller holds
 * (generation_hold_reference()). The copy is a snapshot on btrfs, and shares data on XFS. When @cancel_fd (negative:
 * none) becomes readable, gives up with -ECANCELED. */
int staging_open_copy(const char *root_dir, const char *name, Turn *turn, const Image *from, int cancel_fd,
                      Staging *ret);

/* Locks the staging directory and removes leftovers, but makes no tree. Otherwise as staging_open(). */
int staging_lock(const char *root_dir, const char *name, Turn *turn, Staging *ret);

/* The same, without waiting: -EBUSY if another process has the lock. */
int staging_try_lock(const char *root_dir, const char *name, Staging *ret);

/* Finds out who has the lock of the image that @reference (NAME or NAME@NUMBER) names, for the message of a process
 * that found the image's tree being removed. *ret has PID 0 if that is not known. */
void staging_holder(const char *root_dir, const char *reference, TurnHolder *ret);

/* Calls generations_settle() for an image that is locked. The functions above that lock have already done so. 0 or
 * -errno. */
int staging_settle(const Staging *staging);

/* Opens the staging tree. Returns a descriptor or -errno. */
int staging_tree(const Staging *staging);

/* Makes the empty directory @staging->work_path, for temporary files, on the tree's file system; staging_discard()
 * removes it. Returns a descriptor or -errno. */
int staging_work(const Staging *staging);

/* Removes the staging directory with everything in it, and unlocks it. 0 or -errno. */
int staging_discard(Staging *staging);

/* Closes the staging directory, which unlocks it, without removing anything. */
void staging_done(Staging *staging);
#define _cleanup_staging_ _cleanup_(staging_done)

/* Removes what interrupted commands left in staging directories, but nothing that is being made now. A tree that was
 * current until an interrupted publish is moved to the old generations. With @dry_run it only looks. Appends the names
 * of the images to @names. 0, or the first -errno with the others removed. */
int staging_collect(const char *root_dir, bool dry_run, char ***names);
