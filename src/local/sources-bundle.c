/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Adds single files to the bundle of a pipeline's sources. Called by what reads the working copy, and by what reads the commit.
 * No symlink is followed. */

#include "local/sources-bundle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"

/* Whatever is done to a file sets this time. */
static bool is_older(const struct timespec *a, const struct timespec *b) {
        return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

int sources_put_file(Sources *sources, int dir_fd, const char *name, const char *path, bool clean) {
        BundleEntry *entry = &sources->entry;
        struct stat st;

        if (!bundle_path_is_plain(path))
                return 0;
        strcpy(entry->path, path);
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        entry->mode = st.st_mode & 0777;
        entry->size = (uint64_t) st.st_size;
        entry->mtime_sec = st.st_mtime;
        entry->clean = clean && is_older(&st.st_ctim, &sources->compared);
        if (S_ISLNK(st.st_mode)) {
                ssize_t n = readlinkat(dir_fd, name, entry->link, BUNDLE_PATH_MAX);

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                entry->link[n] = 0;
                entry->type = BUNDLE_SYMLINK;
                return bundle_put(&sources->writer, entry);
        }
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? SOURCES_DIRECTORY : 0;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        entry->type = BUNDLE_FILE;
        int r = bundle_put(&sources->writer, entry);
        return r < 0 ? r : bundle_put_file(&sources->writer, fd, entry->size);
}

int sources_put_directory(Sources *sources, const char *path) {
        BundleEntry *entry = &sources->entry;

        if (!bundle_path_is_plain(path))
                return 0;
        strcpy(entry->path, path);
        entry->type = BUNDLE_DIRECTORY;
        entry->mode = 0755;
        entry->size = 0;
        entry->mtime_sec = 0;
        entry->clean = false;
        return bundle_put(&sources->writer, entry);
}

int sources_put_empty_submodule(Sources *sources, const char *path) {
        int r = sources->request->submodules ? strv_extend(&sources->empty, path) : 0;
        return r < 0 ? r : sources_put_directory(sources, path);
}

int sources_put_text(Sources *sources, const char *path, const char *text) {
        BundleEntry *entry = &sources->entry;

        if (!bundle_path_is_plain(path))
                return 0;
        strcpy(entry->path, path);
        entry->type = BUNDLE_FILE;
        entry->mode = 0644;
        entry->size = strlen(text);
        entry->mtime_sec = 0;
        entry->clean = false;
        int r = bundle_put(&sources->writer, entry);
        return r < 0 ? r : bundle_put_data(&sources->writer, text, entry->size);
}
