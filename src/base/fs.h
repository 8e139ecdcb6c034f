/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/macro.h"

/* Opens @path as if @root_fd were "/": symlinks, absolute ones too, cannot lead out of it (openat2 with
 * RESOLVE_IN_ROOT, Linux 5.6). O_CLOEXEC is added. Returns the descriptor or -errno. */
int open_in_root(int root_fd, const char *path, int flags);

/* Opens @path, of which no part may be a symlink (-ELOOP): openat2 with RESOLVE_NO_SYMLINKS, Linux 5.6. O_CLOEXEC is added.
 * Returns the descriptor or -errno. */
int open_without_symlinks(int dir_fd, const char *path, int flags);

/* Reads the regular file @path as open_in_root() finds it. -ENOENT also for what is something else, which is not opened:
 * a device, or a pipe that nobody writes to. -EFBIG when it is longer than @max_bytes, or another -errno. @ret_data is to
 * be freed, and has a NUL behind it. */
int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size);

/* Whether there is something of that name, be it a symlink to nowhere. What cannot be looked at is not there. */
bool exists_at(int dir_fd, const char *path);

/* Opens directory @name right below @dir_fd, never through a symlink. With @create, makes it first with @mode.
 * Returns the descriptor or -errno. */
int open_directory_at(int dir_fd, const char *name, bool create, mode_t mode);

/* fdopendir() that consumes @fd when it fails, too. NULL with errno. */
DIR *directory_stream(int fd);

/* The same for a directory that stays open, from its beginning. */
DIR *directory_stream_of(int dir_fd);

/* The next entry but "." and ".."; NULL at the end, with errno 0, and on failure, with errno. */
struct dirent *directory_next(DIR *dir);

/* mkdir -p for an absolute path that the administrator configured; new directories get @mode. 0 or -errno. */
int mkdir_parents(const char *path, mode_t mode);

/* From here on what this process makes belongs to user and group @owner, and it may do with files what root may, where an
 * id-mapped mount has no user for root of the host, too. 0; or -errno, with nothing changed. */
int file_owner_enter(uid_t owner);
void file_owner_leave(void);

/* Is @r (-errno) what the kernel says of a change to a file or directory that an id-mapped mount has no owner for? Nobody may
 * change it there. */
bool error_is_of_unknown_owner(int r);

/* The absolute path of the running program's own executable, and its directory, both to be freed: 0 or -errno. */
int own_executable(char **ret_path, char **ret_directory);
