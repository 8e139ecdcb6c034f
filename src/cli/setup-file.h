/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A file that somebody else has too, such as GitLab Runner's config.toml, between reading and replacing it. */
typedef struct SetupFile {
        int directory_fd; /* locked against others of us as long as it is open */
        char *name;       /* in the directory; where a symlink leads, if the path was one */
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

/* Reads the file. 0; -ENOENT: its directory does not exist; -EFBIG; -EBADMSG: it has a NUL byte, so it is no text; -EISDIR;
 * or another -errno. A file that does not exist is empty, and belongs to root alone. */
int setup_file_open(const char *path, SetupFile *ret);

/* Replaces it by @text in one step, with owner and mode as they were. 0; -ESTALE: it was changed since it was read; or another
 * -errno with the file as it was. */
int setup_file_replace(const SetupFile *file, const char *text);
