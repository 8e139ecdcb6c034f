/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Cleans a working copy for the next job. Only store.c calls this, with the place locked for itself. What is in it was
 * written by jobs, as anybody they liked to be: every step is made from a descriptor, and none through a symlink. */

#include "store/working-copy.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/remove.h"

/* git's own directory is not deeper; submodules nest in it. */
#define DEPTH_MAX 64
/* Of entries that are looked at: a repository can have as many references as it likes. */
#define ENTRIES_MAX 200000

int working_copy_path(const char *repository, char **ret) {
        const char *host = strstr(repository, "://"), *path = host ? strchr(host + 3, '/') : NULL;

        if (!path)
                return -EINVAL;
        path += strspn(path, "/");
        const char *suffix = endswith(path, ".git");
        _cleanup_free_ char *copy = strndup(path, suffix ? (size_t) (suffix - path) : strlen(path));
        if (!copy)
                return -ENOMEM;
        for (const char *part = copy;;) {
                size_t n = strcspn(part, "/");

                if (n == 0 || n > NAME_MAX - strlen(".tmp") || (n == 1 && part[0] == '.') ||
                    (n == 2 && part[0] == '.' && part[1] == '.'))
                        return -EINVAL;
                if (!part[n])
                        break;
                part += n + 1;
        }
        *ret = TAKE_PTR(copy);
        return 0;
}

typedef struct Search {
        unsigned n;
} Search;

static int remove_locks(Search *search, int fd, unsigned depth, bool objects);

static int look_at(Search *search, int dir_fd, const struct dirent *entry, unsigned depth, bool objects) {
        if (++search->n > ENTRIES_MAX)
                return -E2BIG;
        if (entry->d_type != DT_DIR) {
                if (!endswith(entry->d_name, ".lock"))
                        return 0;
                return unlinkat(dir_fd, entry->d_name, 0) < 0 && errno != ENOENT ? -errno : 0;
        }
        /* Hundreds of directories there have objects, and the others locks. */
        if (objects && strlen(entry->d_name) == 2)
                return 0;
        if (depth >= DEPTH_MAX)
                return -ELOOP;
        int fd = open_directory_at(dir_fd, entry->d_name, false, 0);
        return fd < 0 ? fd : remove_locks(search, fd, depth + 1, streq(entry->d_name, "objects"));
}

/* @fd is consumed. */
static int remove_locks(Search *search, int fd, unsigned depth, bool objects) {
        _cleanup_closedir_ DIR *dir = directory_stream(fd);

        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = look_at(search, dirfd(dir), entry, depth, objects);
                if (r < 0)
                        return r;
        }
}

/* In the directory above the working copy. */
static int clean(int above_fd, const char *project) {
        _cleanup_free_ char *temporary = NULL, *git = NULL;
        Search search = { 0 };

        if (string_printf(&temporary, "%s.tmp", project) < 0 || string_printf(&git, "%s/.git", project) < 0)
                return -ENOMEM;
        int r = remove_tree_at(above_fd, temporary);
        if (r < 0)
                return r;
        int git_fd = open_without_symlinks(above_fd, git, O_RDONLY | O_DIRECTORY);
        if (git_fd == -ENOENT)
                return 0;
        return git_fd < 0 ? git_fd : remove_locks(&search, git_fd, 0, false);
}

int working_copy_clean(int dir_fd, const char *name, const char *repository) {
        _cleanup_free_ char *path = NULL;

        _cleanup_close_ int data_fd = open_directory_at(dir_fd, name, false, 0);
        if (data_fd == -ENOENT)
                return 0;
        if (data_fd < 0)
                return data_fd;
        int r = working_copy_path(repository, &path);
        if (r == -EINVAL)
                return 0; /* nobody knows where it is */
        if (r < 0)
                return r;

        char *slash = strrchr(path, '/');
        if (slash)
                *slash = 0;
        _cleanup_close_ int above_fd = open_without_symlinks(data_fd, slash ? path : ".", O_RDONLY | O_DIRECTORY);
        if (above_fd == -ENOENT)
                return 0;
        return above_fd < 0 ? above_fd : clean(above_fd, slash ? slash + 1 : path);
}
