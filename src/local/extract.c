/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the files of a bundle in a directory of the host, for --artifacts. Called by the process of a job, as the user
 * who called `exec`. The bundle comes from a job: nothing is made outside of the directory, and no symlink is followed. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "local/archive.h"
#include "wire/bundle.h"

/* The directory that @path is in, which is made. */
static int open_parent(int directory_fd, const char *path) {
        int fd = fd_duplicate(directory_fd);
        char part[BUNDLE_PATH_MAX + 1];

        for (const char *slash; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
                memcpy(part, path, (size_t) (slash - path));
                part[slash - path] = 0;
                int next = open_directory_at(fd, part, true, 0777);
                close(fd);
                fd = next;
        }
        return fd;
}

/* Neither absolute nor with "..": such a link stays inside, whatever else there is. */
static bool link_is_inside(const char *link) {
        return link[0] != '/' && bundle_path_is_plain(link);
}

static int make_file(Caller *caller, BundleReader *reader, int parent_fd, const char *name, mode_t mode) {
        const void *data;
        size_t size;

        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                        mode & 0777);
        if (fd < 0)
                return -errno;
        do {
                int r = caller_check(caller);
                if (r < 0)
                        return r;
                r = bundle_read(reader, &data, &size);
                if (r < 0)
                        return r;
                r = fd_write_all(fd, data, size);
                if (r < 0)
                        return r;
        } while (size > 0);
        return 0;
}

/* 1: it was left out. */
static int make(Caller *caller, BundleReader *reader, int directory_fd, const BundleEntry *entry) {
        const char *slash = strrchr(entry->path, '/'), *name = slash ? slash + 1 : entry->path;

        if (entry->type == BUNDLE_SYMLINK && !link_is_inside(entry->link))
                return 1;
        _cleanup_close_ int parent_fd = open_parent(directory_fd, entry->path);
        /* A symlink is where a directory should be. */
        if (parent_fd == -ELOOP || parent_fd == -ENOTDIR)
                return 1;
        if (parent_fd < 0)
                return parent_fd;
        switch (entry->type) {
        case BUNDLE_DIRECTORY:
                return mkdirat(parent_fd, name, 0777) < 0 && errno != EEXIST ? -errno : 0;
        case BUNDLE_SYMLINK:
                if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                        return 1;
                return symlinkat(entry->link, parent_fd, name) < 0 ? -errno : 0;
        case BUNDLE_FILE:
                return make_file(caller, reader, parent_fd, name, entry->mode);
        default:
                return 0;
        }
}

int bundle_to_directory(Caller *caller, int bundle_fd, int directory_fd, size_t *ret_n_left_out,
                        Problem *reterr_problem) {
        _cleanup_bundle_reader_ BundleReader reader = { 0 };
        static BundleEntry entry;
        size_t n_left_out = 0;

        int r = bundle_reader_init(&reader, bundle_fd);
        if (r < 0)
                return r;
        while ((r = bundle_next(&reader, &entry)) > 0) {
                r = make(caller, &reader, directory_fd, &entry);
                if (r < 0)
                        return problem_set(reterr_problem, r, "cannot make '%s': %m", entry.path);
                n_left_out += r > 0;
        }
        if (ret_n_left_out)
                *ret_n_left_out = n_left_out;
        return r;
}
