/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes a name that nothing else has: 64 random bits as 16 hexadecimal digits. 0; -EIO: the kernel has none. */
#define RANDOM_NAME_BYTES 17
int random_name(char ret[static RANDOM_NAME_BYTES]);

/* A file that gets its name when it is complete. Where the file system can make files without a name, nothing is left of it
 * when this process is killed before. Elsewhere (NFS, most of FUSE, vfat), it has a name that nobody knows. */
typedef struct NewFile {
        int fd;     /* to write */
        int dir_fd; /* the caller's */
        char temporary[48];
} NewFile;

#define NEW_FILE_NONE ((NewFile){ .fd = -EBADF, .dir_fd = -EBADF })

/* Begins one in @dir_fd, which has to stay open until new_file_done(). 0 or -errno. */
int new_file_begin(int dir_fd, mode_t mode, NewFile *ret);

/* Gives it its name, in one step. 0; -EEXIST: there is something of that name, which stays; or another -errno. */
int new_file_end(NewFile *file, const char *name);

/* Removes what has not got its name, and closes it. */
void new_file_done(NewFile *file);
#define _cleanup_new_file_ _cleanup_(new_file_done)

/* Makes a file that nobody else can find and that is gone when the last descriptor is closed, in @directory, to read and
 * write. Works on every file system. The descriptor or -errno. */
int file_open_unnamed(const char *directory);

/* Makes file @name in @dir_fd with @data in one step. If several processes do that at the same time, the first one's file
 * stays. 0 or -errno; leaves no temporary file. */
int file_publish_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);
