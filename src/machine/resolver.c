/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the host's resolv.conf, and gives a container one. `supervise` calls this before anything runs in the root.
 * Whatever the image has under that name is replaced, not opened or followed. */

#include "machine/resolver.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "tree/remove.h"

#define RESOLVER_NAME "resolv.conf"
#define RESOLVER "/etc/" RESOLVER_NAME
#define RESOLVER_BYTES_MAX (1 << 20)

static int make_resolver(int root_fd, const char *data, size_t size) {
        bool made = mkdirat(root_fd, "etc", 0755) >= 0;
        if (!made && errno != EEXIST)
                return -errno;
        _cleanup_close_ int etc_fd = open_directory_at(root_fd, "etc", false, 0);
        if (etc_fd < 0)
                return etc_fd;
        if (made && fchmod(etc_fd, 0755) < 0) /* whatever the umask is */
                return -errno;
        _cleanup_close_ int fd = openat(etc_fd, RESOLVER_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                        0644);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0644) < 0)
                return -errno;
        return fd_write_all(fd, data, size);
}

static int remove_old(int root_fd) {
        _cleanup_close_ int etc_fd = open_directory_at(root_fd, "etc", false, 0);

        if (etc_fd < 0)
                return etc_fd == -ENOENT ? 0 : etc_fd;
        return remove_tree_at(etc_fd, RESOLVER_NAME);
}

int resolver_read(char **ret) {
        /* The host's may well be a symlink. */
        _cleanup_close_ int host_fd = open(RESOLVER, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (host_fd < 0) {
                if (errno != ENOENT)
                        return -errno;
                *ret = NULL;
                return 0;
        }
        return fd_read_all(host_fd, RESOLVER_BYTES_MAX, ret, NULL);
}

static int replace(int root_fd, uid_t uid_base, const char *text) {
        /* By root of the host, as there may be a directory with files of others. */
        int r = remove_old(root_fd);
        if (r < 0)
                return r;
        r = file_owner_enter(uid_base);
        if (r < 0)
                return r;
        r = make_resolver(root_fd, text, strlen(text));
        file_owner_leave();
        return r;
}

int resolver_write(int root_fd, uid_t uid_base, const char *text) {
        int r = replace(root_fd, uid_base, text);

        return error_is_of_unknown_owner(r) ? 0 : r;
}
