/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fs.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/string.h"

int open_in_root(int root_fd, const char *path, int flags) {
        struct open_how how = { .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT };

        for (unsigned tries = 0;; tries++) {
                int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

                if (fd >= 0)
                        return fd;
                /* EAGAIN: a rename somewhere raced with a ".." of the path (openat2(2)) */
                if (errno != EAGAIN || tries >= 100)
                        return -errno;
        }
}

int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size) {
        char again[64];
        struct stat st;

        _cleanup_close_ int path_fd = open_in_root(root_fd, path, O_PATH);
        if (path_fd < 0)
                return path_fd == -ENOTDIR ? -ENOENT : path_fd;
        if (fstat(path_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOENT;
        snprintf(again, sizeof(again), "/proc/self/fd/%d", path_fd);
        _cleanup_close_ int fd = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? -errno : fd_read_all(fd, max_bytes, ret_data, ret_size);
}

bool exists_at(int dir_fd, const char *path) {
        return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

int open_directory_at(int dir_fd, const char *name, bool create, mode_t mode) {
        if (create && mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
                return -errno;
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int mkdir_parents(const char *path, mode_t mode) {
        _cleanup_free_ char *copy = strdup(path);
        if (!copy)
                return -ENOMEM;

        for (char *p = copy + 1;; p++) {
                char c = *p;
                if (c && c != '/')
                        continue;
                *p = 0;
                if (mkdir(copy, mode) < 0 && errno != EEXIST) {
                        /* A parent may be on a read-only file system and still hold what we need. */
                        struct stat st;
                        int error = errno;
                        if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
                                return -error;
                }
                if (!c)
                        break;
                *p = c;
        }

        struct stat st;
        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* Opens directory @name of @dir_fd unless something is mounted on it: -EXDEV then. A nested btrfs subvolume is no
 * mount. */
static int open_to_remove(int dir_fd, const char *name) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct statx st;

        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, 0, &st) < 0)
                return -errno;
        if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
                return -EXDEV;
        return TAKE_FD(fd);
}

/* Root of a container without user namespace may set the immutable and append-only flags, which hold for us, too.
 * Returns whether there was one to clear on @fd, a file or directory. */
static bool clear_flags(int fd) {
        const int protecting = FS_IMMUTABLE_FL | FS_APPEND_FL;
        int flags;

        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & protecting))
                return false;
        flags &= ~protecting;
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) >= 0;
}

/* The same for @name in @dir_fd and for the directory itself. Nothing but files and directories is ever opened. */
static bool unprotect(int dir_fd, const char *name) {
        struct stat st;
        bool cleared = clear_flags(dir_fd);

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
                return cleared;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0 && clear_flags(fd))
                cleared = true;
        return cleared;
}

/* unlinkat() that also removes what is protected: 0 or -errno. */
static int unlink_entry(int dir_fd, const char *name, int flags) {
        if (unlinkat(dir_fd, name, flags) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EPERM)
                return -errno;
        if (!unprotect(dir_fd, name))
                return -EPERM;
        return unlinkat(dir_fd, name, flags) < 0 ? -errno : 0;
}

/* How deep remove_content() goes: what is nested deeper is moved to the top and removed there, so that a hostile tree
 * exhausts neither the stack nor the descriptors. */
#define REMOVE_DEPTH 128

typedef struct Removal {
        int top_fd;
        unsigned moved; /* number of directories moved to the top */
} Removal;

/* -EAGAIN when it is out of the way. */
static int move_to_top(Removal *removal, int dir_fd, const char *name) {
        for (unsigned tries = 0; tries < 1000; tries++) {
                char target[64];

                snprintf(target, sizeof(target), ".remove-%u-%d", removal->moved++, (int) getpid());
                if (renameat2(dir_fd, name, removal->top_fd, target, RENAME_NOREPLACE) >= 0)
                        return -EAGAIN;
                /* A directory can only be moved by who may change its "..": the flags of both count. */
                if (errno == EPERM && (unprotect(dir_fd, name) || clear_flags(removal->top_fd)))
                        continue;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

static int remove_content(Removal *removal, int fd, unsigned depth);

/* Removes directory @name of @dir_fd: 0, -EAGAIN when a part of it went to the top, or -errno. */
static int remove_directory(Removal *removal, int dir_fd, const char *name, unsigned depth) {
        int r = unlink_entry(dir_fd, name, AT_REMOVEDIR);
        if (r != -ENOTEMPTY && r != -EEXIST)
                return r;
        if (depth == 0)
                return move_to_top(removal, dir_fd, name);

        int fd = open_to_remove(dir_fd, name);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = remove_content(removal, fd, depth - 1);
        return r < 0 ? r : unlink_entry(dir_fd, name, AT_REMOVEDIR);
}

DIR *directory_stream(int fd) {
        DIR *dir = fdopendir(fd);

        if (!dir && fd >= 0) {
                int error = errno;

                close(fd);
                errno = error;
        }
        return dir;
}

DIR *directory_stream_of(int dir_fd) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? NULL : directory_stream(fd);
}

struct dirent *directory_next(DIR *dir) {
        struct dirent *entry;

        do {
                errno = 0;
                entry = readdir(dir);
        } while (entry && (streq(entry->d_name, ".") || streq(entry->d_name, "..")));
        return entry;
}

/* Removes what is in the directory @fd (consumed). */
static int remove_content(Removal *removal, int fd, unsigned depth) {
        int result = 0;

        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;

        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 && result == 0 ? -errno : result;

                int r = entry->d_type == DT_DIR ? -EISDIR : unlink_entry(dirfd(dir), entry->d_name, 0);
                if (r == -EISDIR)
                        r = remove_directory(removal, dirfd(dir), entry->d_name, depth);
                if (r < 0 && (result == 0 || r == -EAGAIN))
                        result = r;
        }
}

int remove_tree_at(int dir_fd, const char *name) {
        Removal removal = { .top_fd = -EBADF };
        int r = unlink_entry(dir_fd, name, 0);

        /* Again while something was moved to the top (-EAGAIN), or was made meanwhile by a dying process. */
        for (unsigned tries = 0; r == -EISDIR || (r == -EAGAIN && tries < 10000) || (r == -ENOTEMPTY && tries < 100);
             tries++) {
                _cleanup_close_ int top_fd = open_to_remove(dir_fd, name);
                if (top_fd < 0)
                        return top_fd == -ENOENT ? 0 : top_fd;
                int fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        return -errno;

                removal.top_fd = top_fd;
                r = remove_content(&removal, fd, REMOVE_DEPTH);
                if (r >= 0)
                        r = unlink_entry(dir_fd, name, AT_REMOVEDIR);
        }
        return r;
}

int own_executable(char **ret_path, char **ret_directory) {
        static const char deleted[] = " (deleted)";
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n < 0)
                return -errno;
        path[n] = 0;

        /* Replaced by an upgrade while it runs: what has the name now is meant. */
        char *suffix = path + MAX(n, (ssize_t) sizeof(deleted)) - (ssize_t) sizeof(deleted) + 1;
        if (streq(suffix, deleted) && access(path, F_OK) < 0)
                *suffix = 0;

        _cleanup_free_ char *whole = strdup(path), *directory = NULL;
        char *slash = strrchr(path, '/');
        if (!slash)
                return -ENOENT;
        slash[slash == path] = 0;
        directory = strdup(path);
        if (!whole || !directory)
                return -ENOMEM;
        *ret_path = TAKE_PTR(whole);
        *ret_directory = TAKE_PTR(directory);
        return 0;
}
