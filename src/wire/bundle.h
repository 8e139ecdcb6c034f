/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Files on their way between host and container, one behind the other in a pipe: a header, the path, the target of a
 * symlink, the content. Both ends run on one host and are ours, so this is simpler and faster than an archive. But
 * everything that comes out of a container is hostile. The end is marked, and a missing end is an error. */

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
        char path[BUNDLE_PATH_MAX + 1]; /* relative, without empty parts, "." and ".." */
        char link[BUNDLE_PATH_MAX + 1];
        uint64_t size; /* of the content */
        int64_t mtime_sec;
        bool clean; /* it is as the index of git says that is in the same bundle; of the index: files were compared */
} BundleEntry;

/* Is @path relative, without empty parts, "." and "..", and at most BUNDLE_PATH_MAX bytes long? */
bool bundle_path_is_plain(const char *path);

/* Writes to @fd, which stays the caller's. */
typedef struct BundleWriter {
        int fd;
        char *buffer;
        size_t size;
} BundleWriter;

/* Begins to write to @fd. 0, after which bundle_writer_done() must be called; or -ENOMEM. */
int bundle_writer_init(BundleWriter *writer, int fd);
void bundle_writer_done(BundleWriter *writer);
#define _cleanup_bundle_writer_ _cleanup_(bundle_writer_done)

/* Writes an entry. For a file, bundle_put_data() or bundle_put_file() must follow with @entry->size bytes of content in
 * all. 0; -EINVAL: the path is not plain; or another -errno. */
int bundle_put(BundleWriter *writer, const BundleEntry *entry);
int bundle_put_data(BundleWriter *writer, const void *data, size_t size);
/* Writes @size bytes of the file @fd as content. If the file has become shorter, writes NUL bytes for the rest. 0 or
 * -errno. */
int bundle_put_file(BundleWriter *writer, int fd, uint64_t size);
/* Writes the end mark and everything that is still in memory. 0 or -errno. */
int bundle_finish(BundleWriter *writer);

typedef struct BundleReader {
        int fd;
        char *buffer;
        size_t offset, size;
        uint64_t left; /* of the present entry's content */
        /* How many entries may come, and how many bytes with their paths: without limit unless the caller sets one. */
        uint64_t entries_left, names_left;
} BundleReader;

/* Begins to read from @fd, which stays the caller's. 0, after which bundle_reader_done() must be called; or -ENOMEM. */
int bundle_reader_init(BundleReader *reader, int fd);
void bundle_reader_done(BundleReader *reader);
#define _cleanup_bundle_reader_ _cleanup_(bundle_reader_done)

/* Reads the next entry, and skips the rest of the last one's content. 1; 0 at the end; -EBADMSG: the data is no bundle,
 * or ends too early; -EFBIG: more entries or names came than may; or another -errno. */
int bundle_next(BundleReader *reader, BundleEntry *ret);
/* Reads some of the present entry's content. *ret_data is valid until the next call. 0, with *ret_size 0 at the
 * content's end; or -errno. */
int bundle_read(BundleReader *reader, const void **ret_data, size_t *ret_size);
