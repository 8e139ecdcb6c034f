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

typedef struct Extraction {
        Caller *caller;
        BundleReader reader;
        int directory_fd;
        size_t n_directories; /* that were made */
} Extraction;

/* Makes a directory unless it is there: a path of few bytes can have thousands. 0; -EFBIG: there are too many; or another
 * -errno. */
static int make_directory(Extraction *extraction, int dir_fd, const char *name) {
        if (mkdirat(dir_fd, name, 0777) < 0)
                return errno == EEXIST ? 0 : -errno;
        if (++extraction->n_directories > extraction->caller->files_max)
                return -EFBIG;
        return caller_check(extraction->caller);
}

/* The directory that @path is in, which is made. */
static int open_parent(Extraction *extraction, const char *path) {
        int fd = fd_duplicate(extraction->directory_fd);
        char part[BUNDLE_PATH_MAX + 1];

        for (const char *slash; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
                memcpy(part, path, (size_t) (slash - path));
                part[slash - path] = 0;
                int r = make_directory(extraction, fd, part);
                int next = r < 0 ? r : open_directory_at(fd, part, false, 0);
                close(fd);
                fd = next;
        }
        return fd;
}

/* Neither absolute nor with "..": such a link stays inside, whatever else there is. */
static bool link_is_inside(const char *link) {
        return link[0] != '/' && bundle_path_is_plain(link);
}

static int make_file(Extraction *extraction, int parent_fd, const char *name, mode_t mode) {
        const void *data;
        size_t size;

        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                        mode & 0777);
        if (fd < 0)
                return -errno;
        do {
                int r = caller_check(extraction->caller);
                if (r < 0)
                        return r;
                r = bundle_read(&extraction->reader, &data, &size);
                if (r < 0)
                        return r;
                r = fd_write_all(fd, data, size);
                if (r < 0)
                        return r;
        } while (size > 0);
        return 0;
}

/* 1: it was left out. */
static int make(Extraction *extraction, const BundleEntry *entry) {
        const char *slash = strrchr(entry->path, '/'), *name = slash ? slash + 1 : entry->path;

        if (entry->type == BUNDLE_SYMLINK && !link_is_inside(entry->link))
                return 1;
        _cleanup_close_ int parent_fd = open_parent(extraction, entry->path);
        /* A symlink is where a directory should be. */
        if (parent_fd == -ELOOP || parent_fd == -ENOTDIR)
                return 1;
        if (parent_fd < 0)
                return parent_fd;
        switch (entry->type) {
        case BUNDLE_DIRECTORY:
                return make_directory(extraction, parent_fd, name);
        case BUNDLE_SYMLINK:
                if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                        return 1;
                return symlinkat(entry->link, parent_fd, name) < 0 ? -errno : 0;
        case BUNDLE_FILE:
                return make_file(extraction, parent_fd, name, entry->mode);
        default:
                return 0;
        }
}

/* All but what is left out: *ret_n_left_out. */
static int make_all(Extraction *extraction, size_t *ret_n_left_out, Problem *reterr_problem) {
        static BundleEntry entry;
        size_t n_left_out = 0;
        int r;

        while ((r = bundle_next(&extraction->reader, &entry)) > 0) {
                r = make(extraction, &entry);
                if (r < 0)
                        return problem_set(reterr_problem, r, "cannot make '%s': %m", entry.path);
                n_left_out += r > 0;
        }
        *ret_n_left_out = n_left_out;
        return r;
}

int bundle_to_directory(Caller *caller, int bundle_fd, int directory_fd, size_t *ret_n_left_out,
                        Problem *reterr_problem) {
        Extraction extraction = { .caller = caller, .directory_fd = directory_fd };
        size_t n;

        int r = bundle_reader_init(&extraction.reader, bundle_fd);
        if (r < 0)
                return r;
        extraction.reader.entries_left = caller->files_max;
        extraction.reader.names_left = FILES_LIST_BYTES_MAX;
        r = make_all(&extraction, ret_n_left_out ? ret_n_left_out : &n, reterr_problem);
        bundle_reader_done(&extraction.reader);
        return r;
}
