/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A file that other programs write, too, such as GitLab Runner's config.toml, between reading and replacing it. */
typedef struct SetupFile {
        int directory_fd; /* locked against other calls of setup while it is open */
        char *name;       /* in the directory; if the path was a symlink, of its target */
        char *text;       /* "" if there is no file yet */
        bool exists;
        mode_t mode;
        uid_t uid;
        gid_t gid;
} SetupFile;

#define SETUP_FILE_NONE                \
        (SetupFile) {                  \
                .directory_fd = -EBADF \
        }

void setup_file_done(SetupFile *file);
#define _cleanup_setup_file_ _cleanup_(setup_file_done)

/* Reads the file. 0, after which setup_file_done() must be called; -ENOENT: its directory does not exist; -EFBIG;
 * -EBADMSG: it has a NUL byte, so it is no text; -EISDIR; or another -errno. A file that does not exist counts as
 * empty, and will belong to root alone. */
int setup_file_open(const char *path, SetupFile *ret);

/* Replaces it by @text in one step, with owner and mode as they were. 0; -ESTALE: it was changed since it was read; or another
 * -errno with the file as it was. */
int setup_file_replace(const SetupFile *file, const char *text);
