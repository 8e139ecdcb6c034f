/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "agent/index.h"
#include "wire/bundle.h"

/* Where one thread makes files. The directory that it is in stays open: the next file is likely to go there, too. */
typedef struct Place {
        int root_fd, parent_fd; /* root_fd is the caller's */
        char parent[BUNDLE_PATH_MAX + 1];
        mode_t umask; /* of whoever wants the files; the process has 0, so that files get the mode that they had */
        const GitIndex *index; /* what files are noted in; several threads may share one, for files of their own */
        size_t next;           /* the entry that comes next in it, most likely */
} Place;

/* Nothing is open yet. */
void place_init(Place *ret, int root_fd, mode_t umask, const GitIndex *index);
void place_done(Place *place);

/* Goes to the directory that @path is in, which is made if it is missing. 0 or -errno. */
int place_enter(Place *place, const char *path);

/* Make what @entry says, and replace what is there of the same name, unless both are directories. Other threads may do the same
 * for other paths. 0 or -errno. */
int place_directory(Place *place, const BundleEntry *entry);
int place_symlink(Place *place, const BundleEntry *entry);

/* Makes a file for writing its content. Its descriptor, for place_end_file() and then close(), or -errno. */
int place_begin_file(Place *place, const BundleEntry *entry);
/* When its content is written: 0 or -errno. */
int place_end_file(Place *place, const BundleEntry *entry, int fd);
