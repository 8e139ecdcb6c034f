/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* State for copying the data of regular files one after the other; each thread has its own. */
typedef struct ContentCopy {
        bool (*is_stopped)(void *userdata); /* asked now and then; if true, the copy ends with -ECANCELED; or NULL */
        void *userdata;

        bool no_clone; /* result of a try: these file systems cannot share data */
        char *buffer;
} ContentCopy;

/* Allocates what @copy needs. 0 with @copy for content_copy_done(), or -ENOMEM. */
int content_copy_init(ContentCopy *copy);
void content_copy_done(ContentCopy *copy);

/* Copies the content of @source_fd, whose state is @st, to the empty file @target_fd: shares data if the file system can,
 * and keeps holes. 0; CONTENT_SHORTER: the source became shorter meanwhile, and the target has what there was; -ECANCELED; or
 * another -errno. */
#define CONTENT_SHORTER 1
int content_copy(ContentCopy *copy, int source_fd, int target_fd, const struct stat *st);
