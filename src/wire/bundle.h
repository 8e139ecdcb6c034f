/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Files on their way between host and container, one behind the other in a pipe: a header, the path, the target of a
 * symlink, the content. Both ends run on one machine and are ours, so this is simpler and faster than an archive; but what
 * comes out of a container is hostile all the same. The end is marked: one that is missing is an error. */

typedef enum BundleType {
        BUNDLE_FILE = 1,
        BUNDLE_DIRECTORY,
        BUNDLE_SYMLINK,
        BUNDLE_LISTED, /* a file without its content */
        BUNDLE_END,
} BundleType;

#define BUNDLE_PATH_MAX 4096U
#define BUNDLE_BUFFER_BYTES ((size_t) 256 * 1024)

typedef struct BundleEntry {
        BundleType type;
        mode_t mode;                    /* permissions */
        char path[BUNDLE_PATH_MAX + 1]; /* relative, without empty parts, "." and "..", */
        char link[BUNDLE_PATH_MAX + 1];
        uint64_t size; /* of the content */
        int64_t mtime_sec;
} BundleEntry;

/* A relative path without empty parts, "." and "..", of at most BUNDLE_PATH_MAX bytes? */
bool bundle_path_is_plain(const char *path);

/* Writes to @fd, which stays the caller's. */
typedef struct BundleWriter {
        int fd;
        char *buffer;
        size_t size;
} BundleWriter;

/* 0, after which bundle_writer_done() must be called; or -ENOMEM. */
int bundle_writer_init(BundleWriter *writer, int fd);
void bundle_writer_done(BundleWriter *writer);
#define _cleanup_bundle_writer_ _cleanup_(bundle_writer_done)

/* 0; -EINVAL: a path that is not plain; or another -errno. A file's content follows with bundle_put_data(), @entry->size
 * bytes in all. */
int bundle_put(BundleWriter *writer, const BundleEntry *entry);
int bundle_put_data(BundleWriter *writer, const void *data, size_t size);
/* The content of @fd, which must have at least @size bytes; what is missing, because the file has become shorter, is NULs. */
int bundle_put_file(BundleWriter *writer, int fd, uint64_t size);
/* Writes the end and all that is still in memory. */
int bundle_finish(BundleWriter *writer);

typedef struct BundleReader {
        int fd;
        char *buffer;
        size_t offset, size;
        uint64_t left; /* of the present entry's content */
} BundleReader;

/* The same with bundle_reader_done(); @fd stays the caller's. */
int bundle_reader_init(BundleReader *reader, int fd);
void bundle_reader_done(BundleReader *reader);
#define _cleanup_bundle_reader_ _cleanup_(bundle_reader_done)

/* The next entry; what is left of the last one's content is skipped. 1; 0 at the end; -EBADMSG: that is no bundle, or a part
 * of one; or another -errno. */
int bundle_next(BundleReader *reader, BundleEntry *ret);
/* Some of the present entry's content, in memory until the next call. 0 with *ret_size 0 at its end; or -errno. */
int bundle_read(BundleReader *reader, const void **ret_data, size_t *ret_size);
