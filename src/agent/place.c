/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes single files in the container. Called by unpack.c, and by each thread of crew.c. It must make nothing outside of its
 * directory, whatever symlinks are in it. */

#include "agent/place.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/beneath.h"
#include "base/fd.h"
#include "base/fs.h"

void place_init(Place *ret, int root_fd, mode_t umask, const GitIndex *index) {
        ret->root_fd = root_fd;
        ret->parent_fd = -EBADF;
        ret->umask = umask;
        ret->index = index;
        ret->next = 0;
}

void place_done(Place *place) {
        closep(&place->parent_fd);
}

/* Unless it is there. */
static int make_directory(int root_fd, const char *path, mode_t mode) {
        _cleanup_close_ int fd = open_beneath(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT)
                return MIN(fd, 0);
        _cleanup_close_ int parent_fd = open_parent_beneath(root_fd, path);
        if (parent_fd < 0)
                return parent_fd;
        return mkdirat(parent_fd, last_part(path), mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_directories(int root_fd, char *path, mode_t mode) {
        for (char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = 0;
                int r = make_directory(root_fd, path, mode);
                if (slash)
                        *slash = '/';
                if (r < 0 || !slash)
                        return r;
        }
}

int place_enter(Place *place, const char *path) {
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t) (slash - path) : 0;

        if (place->parent_fd >= 0 && strncmp(place->parent, path, n) == 0 && !place->parent[n])
                return 0;
        closep(&place->parent_fd);
        memcpy(place->parent, path, n);
        place->parent[n] = 0;
        place->parent_fd = open_parent_beneath(place->root_fd, path);
        if (place->parent_fd == -ENOENT) {
                int r = make_directories(place->root_fd, place->parent, 0777 & ~place->umask);
                if (r < 0)
                        return r;
                place->parent_fd = open_parent_beneath(place->root_fd, path);
        }
        return MIN(place->parent_fd, 0);
}

static void note(Place *place, const BundleEntry *entry, const struct stat *st) {
        if (place->index->n > 0 && entry->clean)
                (void) index_note(place->index, &place->next, entry->path, st);
}

int place_directory(Place *place, const BundleEntry *entry) {
        mode_t mode = ((entry->mode & 0777) | 0700) & ~place->umask;

        int r = place_enter(place, entry->path);
        if (r < 0)
                return r;
        return mkdirat(place->parent_fd, last_part(entry->path), mode) < 0 && errno != EEXIST ? -errno : 0;
}

int place_symlink(Place *place, const BundleEntry *entry) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = entry->mtime_sec } };
        const char *name = last_part(entry->path);
        struct stat st;

        int r = place_enter(place, entry->path);
        if (r < 0)
                return r;
        if (symlinkat(entry->link, place->parent_fd, name) < 0 &&
            (errno != EEXIST || unlinkat(place->parent_fd, name, 0) < 0 ||
             symlinkat(entry->link, place->parent_fd, name) < 0))
                return -errno;
        if (entry->mtime_sec > 0)
                (void) utimensat(place->parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
        if (fstatat(place->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        note(place, entry, &st);
        return 0;
}

int place_begin_file(Place *place, const BundleEntry *entry) {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        const char *name = last_part(entry->path);

        int r = place_enter(place, entry->path);
        if (r < 0)
                return r;
        int fd = openat(place->parent_fd, name, flags, entry->mode & 0777);
        if (fd < 0 && errno == EEXIST && unlinkat(place->parent_fd, name, 0) >= 0)
                fd = openat(place->parent_fd, name, flags, entry->mode & 0777);
        return fd < 0 ? -errno : fd;
}

int place_end_file(Place *place, const BundleEntry *entry, int fd) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = entry->mtime_sec } };
        mode_t mode = entry->mode & 0777;
        struct stat st;

        if (entry->mtime_sec > 0)
                (void) futimens(fd, times);
        if (fstat(fd, &st) < 0)
                return -errno;
        /* An ACL of the directory may have changed it. */
        if ((st.st_mode & 0777) != mode && (fchmod(fd, mode) < 0 || fstat(fd, &st) < 0))
                return -errno;
        note(place, entry, &st);
        return 0;
}
