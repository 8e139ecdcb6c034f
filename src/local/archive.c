/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns bundles into archives and back. Called by the processes of jobs, for caches and artifacts. Never makes or follows
 * anything that a path in an archive names. */

#include "local/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/library.h"
#include "base/string.h"
#include "wire/bundle.h"

#define FUNCTIONS(X)                       \
        X(archive_write_new)               \
        X(archive_write_set_format_zip)    \
        X(archive_write_set_format_pax)    \
        X(archive_write_add_filter_zstd)   \
        X(archive_write_set_options)       \
        X(archive_write_open_fd)           \
        X(archive_write_header)            \
        X(archive_write_data)              \
        X(archive_write_close)             \
        X(archive_write_free)              \
        X(archive_read_new)                \
        X(archive_read_support_format_zip) \
        X(archive_read_support_format_tar) \
        X(archive_read_support_filter_all) \
        X(archive_read_open_fd)            \
        X(archive_read_next_header)        \
        X(archive_read_data)               \
        X(archive_read_free)               \
        X(archive_error_string)            \
        X(archive_entry_new)               \
        X(archive_entry_free)              \
        X(archive_entry_clear)             \
        X(archive_entry_set_pathname)      \
        X(archive_entry_set_mode)          \
        X(archive_entry_set_size)          \
        X(archive_entry_set_mtime)         \
        X(archive_entry_set_symlink)       \
        X(archive_entry_pathname)          \
        X(archive_entry_pathname_utf8)     \
        X(archive_entry_mode)              \
        X(archive_entry_size)              \
        X(archive_entry_size_is_set)       \
        X(archive_entry_mtime)             \
        X(archive_entry_symlink)

static struct { FUNCTIONS(LIBRARY_POINTER) } lib;

#define BLOCK_BYTES ((size_t) 1024 * 1024)

static int load(Problem *reterr_problem) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

        int r = library_load(LIBRARY_ARCHIVE, names, (void **) &lib);
        return r == -ENOENT ? problem_set(reterr_problem, r, "libarchive is not installed; install libarchive13") : r;
}

static int failed(struct archive *archive, const char *what, Problem *reterr_problem) {
        const char *text = lib.archive_error_string(archive);

        return problem_set(reterr_problem, -EIO, "%s: %s", what, text ? text : "unknown error");
}

static void describe(struct archive_entry *target, const BundleEntry *entry) {
        static const mode_t types[] = {
                [BUNDLE_FILE] = S_IFREG, [BUNDLE_DIRECTORY] = S_IFDIR, [BUNDLE_SYMLINK] = S_IFLNK
        };

        lib.archive_entry_clear(target);
        lib.archive_entry_set_pathname(target, entry->path);
        lib.archive_entry_set_mode(target, types[entry->type] | (entry->mode & 0777));
        lib.archive_entry_set_size(target, entry->type == BUNDLE_FILE ? (la_int64_t) entry->size : 0);
        lib.archive_entry_set_mtime(target, (time_t) entry->mtime_sec, 0);
        if (entry->type == BUNDLE_SYMLINK)
                lib.archive_entry_set_symlink(target, entry->link);
}

/* libarchive only warns of names in characters that it does not know, and writes their bytes. */
static int write_entries(Caller *caller, BundleReader *reader, struct archive *archive, struct archive_entry *target,
                         Problem *reterr_problem) {
        static BundleEntry entry;
        const void *data;
        size_t size;
        int r;

        while ((r = bundle_next(reader, &entry)) > 0) {
                if (entry.type == BUNDLE_LISTED)
                        continue;
                describe(target, &entry);
                if (lib.archive_write_header(archive, target) < ARCHIVE_WARN)
                        return failed(archive, entry.path, reterr_problem);
                do {
                        r = caller_check(caller);
                        if (r < 0)
                                return r;
                        r = bundle_read(reader, &data, &size);
                        if (r < 0)
                                return r;
                        if (size > 0 && lib.archive_write_data(archive, data, size) < 0)
                                return failed(archive, entry.path, reterr_problem);
                } while (size > 0);
        }
        return r;
}

static int begin_archive(struct archive *archive, int fd, ArchiveFormat format, int level) {
        char option[64];
        int r = format == ARCHIVE_ZIP ? lib.archive_write_set_format_zip(archive) :
                                        lib.archive_write_set_format_pax(archive);

        if (r < ARCHIVE_WARN ||
            (format == ARCHIVE_TAR_ZSTD && lib.archive_write_add_filter_zstd(archive) < ARCHIVE_WARN))
                return r;
        if (level >= 0) {
                snprintf(option, sizeof(option), "%s:compression-level=%d", format == ARCHIVE_ZIP ? "zip" : "zstd",
                         format == ARCHIVE_ZIP ? level : MAX(level, 1));
                (void) lib.archive_write_set_options(archive, option);
        }
        return lib.archive_write_open_fd(archive, fd);
}

/* For cleanup attributes; libarchive's own functions take NULL. */
static void free_writer(struct archive **archive) {
        (void) lib.archive_write_free(*archive);
}

static void free_reader(struct archive **archive) {
        (void) lib.archive_read_free(*archive);
}

static void free_entry(struct archive_entry **entry) {
        lib.archive_entry_free(*entry);
}

int archive_from_bundle(Caller *caller, int bundle_fd, int archive_fd, ArchiveFormat format, int level,
                        Problem *reterr_problem) {
        _cleanup_bundle_reader_ BundleReader reader = { 0 };

        int r = load(reterr_problem);
        if (r < 0)
                return r;
        r = bundle_reader_init(&reader, bundle_fd);
        if (r < 0)
                return r;
        /* The names are in memory until the archive ends. */
        reader.entries_left = caller->files_max;
        reader.names_left = FILES_LIST_BYTES_MAX;
        _cleanup_(free_writer) struct archive *archive = lib.archive_write_new();
        _cleanup_(free_entry) struct archive_entry *target = lib.archive_entry_new();
        if (!archive || !target)
                return -ENOMEM;
        if (begin_archive(archive, archive_fd, format, level) < ARCHIVE_WARN)
                return failed(archive, "cannot begin an archive", reterr_problem);
        r = write_entries(caller, &reader, archive, target, reterr_problem);
        if (r < 0)
                return r;
        if (lib.archive_write_close(archive) < ARCHIVE_WARN)
                return failed(archive, "cannot end the archive", reterr_problem);
        return 0;
}

/* "./a/" is "a". False: it leads outside, or nowhere. */
static bool take_path(const char *path, char ret[static BUNDLE_PATH_MAX + 1]) {
        while (path && startswith(path, "./"))
                path += 2;
        size_t n = path ? strlen(path) : 0;
        while (n > 0 && path[n - 1] == '/')
                n--;
        if (n == 0 || n > BUNDLE_PATH_MAX)
                return false;
        memcpy(ret, path, n);
        ret[n] = 0;
        return bundle_path_is_plain(ret);
}

static bool take_entry(struct archive_entry *source, BundleEntry *entry) {
        const char *path = lib.archive_entry_pathname(source), *link = lib.archive_entry_symlink(source);
        mode_t mode = lib.archive_entry_mode(source);

        if (!take_path(path ? path : lib.archive_entry_pathname_utf8(source), entry->path))
                return false;
        entry->mode = mode & 0777;
        entry->mtime_sec = lib.archive_entry_mtime(source);
        entry->size = 0;
        if (S_ISDIR(mode))
                entry->type = BUNDLE_DIRECTORY;
        else if (S_ISLNK(mode) && link && *link && strlen(link) <= BUNDLE_PATH_MAX) {
                entry->type = BUNDLE_SYMLINK;
                strcpy(entry->link, link);
        } else if (S_ISREG(mode) && lib.archive_entry_size_is_set(source)) {
                entry->type = BUNDLE_FILE;
                entry->size = (uint64_t) lib.archive_entry_size(source);
        } else
                return false;
        return true;
}

static int read_content(Caller *caller, struct archive *archive, BundleWriter *writer, uint64_t left,
                        Problem *reterr_problem) {
        static char block[65536];

        while (left > 0) {
                int r = caller_check(caller);
                if (r < 0)
                        return r;
                la_ssize_t n = lib.archive_read_data(archive, block, MIN(left, sizeof(block)));

                if (n <= 0)
                        return n < 0 ? failed(archive, "the archive cannot be read", reterr_problem) :
                                       problem_set(reterr_problem, -EBADMSG, "a file in the archive is too short");
                r = bundle_put_data(writer, block, (size_t) n);
                if (r < 0)
                        return r;
                left -= (uint64_t) n;
        }
        return 0;
}

static int read_entries(Caller *caller, struct archive *archive, BundleWriter *writer, Problem *reterr_problem) {
        static BundleEntry entry;
        struct archive_entry *source;
        int r;

        while ((r = lib.archive_read_next_header(archive, &source)) >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
                if (!take_entry(source, &entry))
                        continue;
                r = bundle_put(writer, &entry);
                if (r < 0)
                        return r;
                r = read_content(caller, archive, writer, entry.size, reterr_problem);
                if (r < 0)
                        return r;
        }
        return r == ARCHIVE_EOF ? bundle_finish(writer) : failed(archive, "the archive cannot be read", reterr_problem);
}

int archive_to_bundle(Caller *caller, int archive_fd, int bundle_fd, Problem *reterr_problem) {
        _cleanup_bundle_writer_ BundleWriter writer = { 0 };

        int r = load(reterr_problem);
        if (r < 0)
                return r;
        r = bundle_writer_init(&writer, bundle_fd);
        if (r < 0)
                return r;
        _cleanup_(free_reader) struct archive *archive = lib.archive_read_new();
        if (!archive)
                return -ENOMEM;
        (void) lib.archive_read_support_format_zip(archive);
        (void) lib.archive_read_support_format_tar(archive);
        (void) lib.archive_read_support_filter_all(archive);
        if (lib.archive_read_open_fd(archive, archive_fd, BLOCK_BYTES) < ARCHIVE_WARN)
                return failed(archive, "the archive cannot be read", reterr_problem);
        return read_entries(caller, archive, &writer, reterr_problem);
}
