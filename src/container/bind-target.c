/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the mount points of binds in the root of a container, for bind.c. systemd-nspawn would make those that are
 * missing as root of the host, who is nobody in the container, or not at all where the root is a mapped mount.
 * Symlinks of the image stay inside of the root. */

#include "container/bind-target.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

/* As the kernel has it for one path. */
#define SYMLINKS_MAX 40

static int make_entry(int parent_fd, const char *name, bool directory) {
        if (directory)
                return mkdirat(parent_fd, name, 0755) < 0 ? -errno : 0;
        _cleanup_close_ int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : 0;
}

/* What @path, whose first @length bytes are a symlink to nowhere, stands for: a new string in @ret. */
static int follow(int parent_fd, const char *path, size_t name, size_t length, char **ret) {
        char link[PATH_MAX];
        _cleanup_free_ char *component = strndup(path + name, length - name);

        if (!component)
                return -ENOMEM;
        ssize_t n = readlinkat(parent_fd, component, link, sizeof(link) - 1);
        if (n < 0)
                return -errno;
        link[n] = 0;
        if (link[0] == '/')
                return string_printf(ret, "%s%s", link, path + length);
        return string_printf(ret, "%.*s%s%s", (int) name, path, link, path + length);
}

/* Makes the part of @path that ends at @length, whose last component begins at @name: 0; 1 with the path to go on with in
 * @ret_other, where that part is a symlink to nowhere. */
static int make_part(int root_fd, const char *path, size_t name, size_t length, bool directory, char **ret_other) {
        _cleanup_free_ char *part = strndup(path, length), *parent = strndup(path, name);

        if (!part || !parent)
                return -ENOMEM;
        _cleanup_close_ int fd = open_in_root(root_fd, part, O_PATH);
        if (fd >= 0 || fd != -ENOENT)
                return MIN(fd, 0);
        _cleanup_close_ int parent_fd = open_in_root(root_fd, parent, O_PATH | O_DIRECTORY);
        if (parent_fd < 0)
                return parent_fd;
        int r = make_entry(parent_fd, part + name, directory);
        if (r != -EEXIST)
                return r;
        r = follow(parent_fd, path, name, length, ret_other);
        return r < 0 ? r : 1;
}

/* The same for all parts of @path: 0 or 1. */
static int make_parts(int root_fd, const char *path, bool directory, char **ret_other) {
        for (size_t name = strspn(path, "/"); path[name];) {
                size_t length = name + strcspn(path + name, "/"), next = length + strspn(path + length, "/");

                int r = make_part(root_fd, path, name, length, directory || path[next], ret_other);
                if (r != 0)
                        return r;
                name = next;
        }
        return 0;
}

static int make_path(int root_fd, const char *target, bool directory) {
        _cleanup_free_ char *path = strdup(target);

        if (!path)
                return -ENOMEM;
        for (unsigned i = 0; i < SYMLINKS_MAX; i++) {
                char *other = NULL;

                int r = make_parts(root_fd, path, directory, &other);
                if (r <= 0)
                        return r;
                free(path);
                path = other;
        }
        return -ELOOP;
}

static int check_kind(int root_fd, const char *target, bool directory) {
        struct stat st;

        _cleanup_close_ int fd = open_in_root(root_fd, target, O_PATH);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (directory == !!S_ISDIR(st.st_mode))
                return 0;
        return directory ? -ENOTDIR : -EISDIR;
}

int bind_target_make(int root_fd, const char *target, bool directory, uid_t owner) {
        /* The owner's from the start: in a mapped root, root of the host is nobody, and could make nothing. */
        int r = file_owner_enter(owner);
        if (r < 0)
                return r;
        r = make_path(root_fd, target, directory);
        file_owner_leave();
        return r < 0 ? r : check_kind(root_fd, target, directory);
}
