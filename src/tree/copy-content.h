/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* Copies the data of regular files, one after the other; each thread has one of these. */
typedef struct ContentCopy {
        bool (*is_stopped)(void *userdata); /* asked now and then: the copy ends with -ECANCELED when true */
        void *userdata;

        bool no_clone; /* found out: these file systems cannot share data */
        char *buffer;
} ContentCopy;

/* 0 or -ENOMEM. */
int content_copy_init(ContentCopy *copy);
void content_copy_done(ContentCopy *copy);

/* Copies the content of @source_fd, whose state is @st, to the empty file @target_fd: shares data if the file system can,
 * and keeps holes. 0; -ECANCELED; -EIO: the source became shorter meanwhile; or another -errno. */
int content_copy(ContentCopy *copy, int source_fd, int target_fd, const struct stat *st);
