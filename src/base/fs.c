/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opens, reads and makes what a path names, for everybody, the agent included. What is in a tree, or where jobs can
 * write, is opened so that its symlinks stay inside of the tree or are refused. Only mkdir_parents() takes a path as
 * it comes: that is for directories that the administrator configured. */

#include "base/fs.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/string.h"

int open_resolving(int dir_fd, const char *path, int flags, uint64_t resolve) {
        struct open_how how = { .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC), .resolve = resolve };

        for (unsigned tries = 0;; tries++) {
                int fd = (int) syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

                if (fd >= 0)
                        return fd;
                /* EAGAIN: a rename somewhere raced with a ".." of the path (openat2(2)) */
                if (errno != EAGAIN || tries >= 100)
                        return -errno;
        }
}

int open_in_root(int root_fd, const char *path, int flags) {
        return open_resolving(root_fd, path, flags, RESOLVE_IN_ROOT);
}

int find_in_root(int root_fd, const char *path, int flags) {
        int fd = open_in_root(root_fd, path, flags);

        return fd == -ENOTDIR || fd == -ELOOP || fd == -ENAMETOOLONG ? -ENOENT : fd;
}

int open_beneath(int dir_fd, const char *path, int flags) {
        return open_resolving(dir_fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int open_without_symlinks(int dir_fd, const char *path, int flags) {
        return open_resolving(dir_fd, path, flags, RESOLVE_NO_SYMLINKS);
}

int file_open_in_root(int root_fd, const char *path) {
        _cleanup_close_ int path_fd = find_in_root(root_fd, path, O_PATH);
        if (path_fd < 0)
                return path_fd;
        int r = file_check_regular(path_fd);
        return r < 0 ? r : fd_reopen(path_fd, O_RDONLY);
}

int file_read_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = file_open_in_root(root_fd, path);

        return fd < 0 ? fd : fd_read_all(fd, max_bytes, ret_data, ret_size);
}

int file_find_in_root(int root_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size) {
        int r = file_read_in_root(root_fd, path, max_bytes, ret_data, ret_size);

        return r == -EISDIR || r == -ENOTSUP ? -ENOENT : r;
}

typedef union Handle {
        struct file_handle head;
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} Handle;

int file_handle_text(int fd, char **ret) {
        Handle handle = { .head.handle_bytes = MAX_HANDLE_SZ };
        char hex[2 * MAX_HANDLE_SZ + 1] = "";
        int mount_id;

        if (name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0)
                return -errno;
        for (unsigned i = 0; i < handle.head.handle_bytes; i++)
                sprintf(hex + (size_t) 2 * i, "%02x", handle.head.f_handle[i]);
        return string_printf(ret, "%x:%s", (unsigned) handle.head.handle_type, hex);
}

int file_handle_open(int fs_fd, const char *text) {
        Handle handle = { 0 };
        unsigned type, byte;
        int at = 0;

        if (sscanf(text, "%8x:%n", &type, &at) != 1 || at == 0)
                return -EINVAL;
        for (const char *hex = text + at; *hex; hex += 2) {
                if (handle.head.handle_bytes == MAX_HANDLE_SZ || !isxdigit(hex[0]) || !isxdigit(hex[1]) ||
                    sscanf(hex, "%2x", &byte) != 1)
                        return -EINVAL;
                handle.head.f_handle[handle.head.handle_bytes++] = (unsigned char) byte;
        }
        handle.head.handle_type = (int) type;
        int fd = open_by_handle_at(fs_fd, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

bool exists_at(int dir_fd, const char *path) {
        if (faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return true;
        return errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != ENAMETOOLONG && errno != EACCES;
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

DIR *directory_stream(int fd) {
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir && fd >= 0) {
                int error = errno;

                close(fd);
                errno = error;
        }
        return dir;
}

int directory_find_in_root(int root_fd, const char *path, DIR **ret) {
        int fd = find_in_root(root_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        *ret = directory_stream(fd);
        return *ret ? 1 : -errno;
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

/* Not with strv_extend(): jobs can make directories with millions of entries, and that looks at all of them each time. */
int directory_names(int dir_fd, char ***names) {
        _cleanup_closedir_ DIR *dir = directory_stream_of(dir_fd);
        size_t n = strv_length(*names), allocated = 0;

        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (n + 1 >= allocated) {
                        allocated = MAX(n * 2, (size_t) 32);
                        char **longer = reallocarray(*names, allocated, sizeof(char *));
                        if (!longer)
                                return -ENOMEM;
                        *names = longer;
                }
                (*names)[n + 1] = NULL;
                (*names)[n] = strdup(entry->d_name);
                if (!(*names)[n])
                        return -ENOMEM;
                n++;
        }
}

/* Effective is what is permitted. A change of the file system user takes away what root may do with files. */
static int raise_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(data); i++)
                data[i].effective = data[i].permitted;
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int file_owner_enter(uid_t owner) {
        (void) setfsgid(owner);
        (void) setfsuid(owner);
        int r = raise_capabilities();
        if (r < 0)
                file_owner_leave();
        return r;
}

void file_owner_leave(void) {
        (void) setfsuid(0);
        (void) setfsgid(0);
}

bool error_is_want(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

bool error_is_of_unknown_owner(int r) {
        return r == -EOVERFLOW || r == -EACCES || r == -EPERM;
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
