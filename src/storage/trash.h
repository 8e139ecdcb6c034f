/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Layers of jobs that have ended. They are renamed to `<root_dir>/.trash/<name>.<random>` (mode 0700) at once, and removed
 * by whoever has time: nobody waits for a layer of a million files. What is in the trash belongs to nobody any more. An
 * flock on an entry is held by who removes it, and one on the trash itself by the one process that does so in the
 * background, so that ten jobs that end together make one such process. */
#define TRASH_DIRECTORY ".trash"

/* The trash of a directory of images: descriptor; -ENOENT: there is none, without @create; or another -errno. */
int trash_open(const char *root_dir, bool create);

/* Moves the directory @name of @dir_fd to the trash. 0; or -errno with all as it was (-EXDEV: on another file system). */
int trash_take(int trash_fd, int dir_fd, const char *name);

/* What is in the trash: appended to @names. 0 or -errno. */
int trash_list(int trash_fd, char ***names);

/* Is there something in it that nobody removes? */
bool trash_waits(int trash_fd);

/* Removes what is in the trash and not being removed by others, as far as it is done by @deadline (clock_deadline()). The
 * names of what is gone are appended to @removed (NULL: not wanted). 0; -ETIME: there is more to remove; or the first other
 * -errno, with the others removed. */
int trash_empty(int trash_fd, uint64_t deadline, char ***removed);

/* The same without an end, until there is nothing more that could be removed, also of what came meanwhile. Returns at once
 * where another process does this already: that one removes what is there now, too. 0 or -errno. */
int trash_empty_alone(int trash_fd);
