/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* How much room a file system has, and how much of it those who are not root can still use. Files are 0 where it makes
 * room for them as they come (btrfs). */
typedef struct FileSystemSpace {
        uint64_t total_bytes, free_bytes;
        uint64_t total_files, free_files;
} FileSystemSpace;

/* Of the file system that @fd is on. 0 or -errno. */
int file_system_space(int fd, FileSystemSpace *ret);

#define FILE_SYSTEM_NAME_MAX 32

/* The name of the kind of file system that @fd is on, such as "ext4": static; or its number, in @buffer, if the name is not
 * known. */
const char *file_system_name(int fd, char buffer[static FILE_SYSTEM_NAME_MAX]);
