/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/macro.h"

/* Opens @path as openat2() does (Linux 5.6) with @resolve, RESOLVE_* of <linux/openat2.h>, and again when a rename somewhere on
 * the host got in the way (EAGAIN). Adds O_CLOEXEC. Returns the descriptor or -errno. */
int open_resolving(int dir_fd, const char *path, int flags, uint64_t resolve);

/* Opens @path as if @root_fd were "/": no symlink, absolute or not, leads out of it (RESOLVE_IN_ROOT). Adds
 * O_CLOEXEC. Returns the descriptor or -errno. */
int open_in_root(int root_fd, const char *path, int flags);

/* The same, to find out whether there is such a file: -ENOENT means only that there is none, also because something on the
 * way is no directory, symlinks lead nowhere, or a name is too long to exist. Another -errno, such as -EMFILE, says nothing
 * about the file. */
int find_in_root(int root_fd, const char *path, int flags);

/* Opens what is below @dir_fd: -EXDEV where @path, or a symlink in it, leads out (RESOLVE_BENEATH), or is absolute. Adds
 * O_CLOEXEC. Returns the descriptor or -errno. */
int open_beneath(int dir_fd, const char *path, int flags);

/* Opens @path; no part of it may be a symlink (-ELOOP; RESOLVE_NO_SYMLINKS). Adds O_CLOEXEC. Returns the descriptor or
 * -errno. */
int open_without_symlinks(int dir_fd, const char *path, int flags);

/* Opens the regular file @path as open_in_root() finds it, for reading. Anything else, such as a device or a pipe that nobody
 * writes to, is not opened: -EISDIR or -ENOTSUP, as with file_open_regular(). Returns the descriptor; -ENOENT as with
 * find_in_root(); or another -errno. */
int file_open_in_root(int root_fd, const char *path);
/* Reads the file that it opens. -EFBIG: it is longer than @max_bytes; or another -errno. *ret_data is to be freed; a NUL
 * follows it. */
int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size);
/* The same where only regular files matter: -ENOENT for everything else, too. */
int file_find_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size);

/* A text that means the file @fd for as long as that exists, whatever it is renamed to; never that of another file,
 * even if that has its inode number by then. *ret is to be freed. 0; -EOPNOTSUPP where the file system has no such
 * thing; or another -errno. */
int file_handle_text(int fd, char **ret);
/* Opens the directory that file_handle_text() gave @text for, in the file system of @fs_fd. Returns the descriptor;
 * -ESTALE: it was removed; -EPERM: the caller may not; -EINVAL for any other text; or another -errno. */
int file_handle_open(int fs_fd, const char *text);

/* Is there something of that name? A dangling symlink counts, and so does what may be there but cannot be looked at, as on a
 * disk with errors. What nobody but others may look at does not. */
bool exists_at(int dir_fd, const char *path);

/* Opens directory @name in @dir_fd; it must not be a symlink. With @create, makes it first, with @mode. Returns the
 * descriptor or -errno. */
int open_directory_at(int dir_fd, const char *name, bool create, mode_t mode);

/* Opens a directory of the tree @root_fd, found as find_in_root() does, for directory_next(). Returns 1 with it in @ret, which
 * the caller closes; 0 if there is none; or -errno. */
int directory_find_in_root(int root_fd, const char *path, DIR **ret);

/* fdopendir() that consumes @fd when it fails, too. NULL with errno; a negative @fd leaves it as it is. */
DIR *directory_stream(int fd);

/* The same for a directory whose descriptor stays open. It is read from its beginning. */
DIR *directory_stream_of(int dir_fd);

/* The next entry other than "." and ".."; NULL with errno 0 at the end, NULL with another errno on failure. */
struct dirent *directory_next(DIR *dir);

/* The names of all entries, appended to @names; the descriptor stays open. 0 or -errno. */
int directory_names(int dir_fd, char ***names);

/* mkdir -p for an absolute path from the configuration; new directories get @mode. 0 or -errno. */
int mkdir_parents(const char *path, mode_t mode);

/* When the content of a file was last changed: wall clock, in microseconds since 1970. */
static inline uint64_t stat_modified_usec(const struct stat *st) {
        return (uint64_t) st->st_mtim.tv_sec * USEC_PER_SEC + (uint64_t) st->st_mtim.tv_nsec / NSEC_PER_USEC;
}

/* From now on, files that this process makes belong to user and group @owner, and it keeps root's rights over files. For
 * id-mapped mounts that do not map root of the host, where root could make nothing. 0; or -errno, with nothing changed. */
int file_owner_enter(uid_t owner);
void file_owner_leave(void);

/* Does @r (-errno) say that this process or the host lacks memory or descriptors, and nothing about the file? */
bool error_is_want(int r);

/* Is @r (-errno) the error for changing a file or directory whose owner an id-mapped mount does not map? Nobody can change
 * it there. */
bool error_is_of_unknown_owner(int r);

/* The absolute path of the running program's own executable, and its directory, both to be freed: 0 or -errno. */
int own_executable(char **ret_path, char **ret_directory);
