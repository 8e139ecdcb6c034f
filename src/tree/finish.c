/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns a freshly made root file system into an image: removes what belongs to one system only, such as its machine-id.
 * Called after a tree was built or fetched, and for the keyring that its apt sources name. The tree may come from
 * anywhere, so no path in it may lead out of it. */

#include "tree/finish.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hosts.h"
#include "base/string.h"
#include "tree/remove.h"

#define KEYRING_BYTES_MAX (16 << 20)

#define DIRECTORY (O_RDONLY | O_DIRECTORY)

static int remove_file(int tree_fd, const char *directory, const char *name) {
        _cleanup_close_ int fd = find_in_root(tree_fd, directory, DIRECTORY);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        return unlinkat(fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Empties directory @path; with @files_only, its subdirectories stay, because programs expect them. */
static int empty_directory(int tree_fd, const char *path, bool files_only) {
        _cleanup_closedir_ DIR *dir = NULL;

        int r = directory_find_in_root(tree_fd, path, &dir);
        if (r <= 0)
                return r;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (files_only && entry->d_type == DT_DIR)
                        continue;
                r = remove_tree_at(dirfd(dir), entry->d_name);
                if (r < 0)
                        return r;
        }
}

/* Leaves an empty machine-id, so that systemd, and we, give each container an id of its own (machine-id(5)). */
static int clear_machine_id(int tree_fd, int etc_fd) {
        struct stat st;

        int r = file_replace_at(etc_fd, "machine-id", "", 0, 0444);
        if (r < 0)
                return r;

        /* D-Bus has a copy of the id where its file is no symlink to the first one. */
        _cleanup_close_ int dbus_fd = find_in_root(tree_fd, "var/lib/dbus", DIRECTORY);
        if (dbus_fd < 0)
                return dbus_fd == -ENOENT ? 0 : dbus_fd;
        if (fstatat(dbus_fd, "machine-id", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        return unlinkat(dbus_fd, "machine-id", 0) < 0 ? -errno : 0;
}

int finish_tree(int tree_fd) {
        static const char *const apt_directories[] = {
                "var/lib/apt/lists", "var/lib/apt/lists/partial", "var/lib/apt/lists/auxfiles",
                "var/cache/apt",     "var/cache/apt/archives",    "var/cache/apt/archives/partial",
        };
        struct stat st;

        _cleanup_close_ int etc_fd = find_in_root(tree_fd, "etc", DIRECTORY);
        if (etc_fd < 0)
                return etc_fd;

        int r = clear_machine_id(tree_fd, etc_fd);
        if (r < 0)
                return r;
        r = remove_file(tree_fd, "etc", "hostname");
        if (r < 0)
                return r;
        /* The file must exist, and is empty: containers get the host's (machine/resolver.h). */
        r = file_replace_at(etc_fd, "resolv.conf", "", 0, 0644);
        if (r < 0)
                return r;
        if (fstatat(etc_fd, "hosts", &st, AT_SYMLINK_NOFOLLOW) < 0)
                r = file_replace_at(etc_fd, "hosts", HOSTS_LOCALHOST, strlen(HOSTS_LOCALHOST), 0644);
        if (r < 0)
                return r;
        r = remove_file(tree_fd, "var/log", "bootstrap.log");
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(apt_directories); i++) {
                r = empty_directory(tree_fd, apt_directories[i], true);
                if (r < 0)
                        return r;
        }
        return empty_directory(tree_fd, "tmp", false);
}

int finish_keyring(int tree_fd, const char *keyring) {
        _cleanup_free_ char *directory = strdup(keyring), *data = NULL;
        size_t size;

        if (!directory)
                return -ENOMEM;
        _cleanup_close_ int present = find_in_root(tree_fd, keyring, O_PATH);
        if (present != -ENOENT)
                return MIN(present, 0);

        _cleanup_close_ int source_fd = file_open_regular(keyring);
        if (source_fd < 0)
                return source_fd;
        int r = fd_read_all(source_fd, KEYRING_BYTES_MAX, &data, &size);
        if (r < 0)
                return r;

        /* Make each directory on the way, in the tree. */
        char *name = strrchr(directory, '/');
        *name++ = 0;
        _cleanup_close_ int fd = fd_duplicate(tree_fd);
        char *state = NULL;
        for (char *part = strtok_r(directory, "/", &state); part && fd >= 0; part = strtok_r(NULL, "/", &state)) {
                int child = open_directory_at(fd, part, true, 0755);
                close(fd);
                fd = child;
        }
        return fd < 0 ? fd : file_replace_at(fd, name, data, size, 0644);
}
