/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Layers of jobs that have ended are renamed to `<root_dir>/.trash/<name>.<random>` (mode 0700) at once and removed later, so
 * that nobody has to wait for a layer of a million files. No job uses what is in the trash. A process that removes an entry
 * holds an flock on it. The process that empties the trash in the background holds an flock on the trash itself, so that ten
 * jobs that end together start only one. */
#define TRASH_DIRECTORY ".trash"

/* Opens the trash of a directory of images; @create makes it. Its descriptor; -ENOENT: there is none; or another -errno. */
int trash_open(const char *root_dir, bool create);

/* Moves the directory @name of @dir_fd to the trash. 0; or -errno with all as it was (-EXDEV: on another file system). */
int trash_take(int trash_fd, int dir_fd, const char *name);

/* Appends the names of its entries to @names. 0 or -errno. */
int trash_list(int trash_fd, char ***names);

/* Is there an entry that no process is removing? */
bool trash_waits(int trash_fd);

/* Removes entries that no other process is removing, until @deadline (clock_deadline()). Appends the names of those
 * that are gone to @removed (NULL: not wanted). 0; TRASH_LATER: the kernel has to remove something before the rest can
 * be; -ETIME: there is more to remove; or the first other -errno, with the others removed. */
#define TRASH_LATER 1
int trash_empty(int trash_fd, uint64_t deadline, char ***removed);

/* The same until nothing is left that can be removed, including entries that come meanwhile, and those that the kernel works
 * on for a minute or two. Returns at once if another process does this already: that one removes the present entries, too. 0
 * or -errno. */
int trash_empty_alone(int trash_fd);
