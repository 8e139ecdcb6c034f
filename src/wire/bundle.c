/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes and reads files on their way between host and container. Called by the agent's `list`, `pack` and `unpack`,
 * and by the command `exec` on the host. Everything that is read must be checked before it is used. Nothing here may
 * touch a file system. */

#include "wire/bundle.h"

#include <string.h>

#include "base/fd.h"
#include "base/string.h"

#define BUNDLE_MAGIC UINT32_C(0x6e736201)

#define FLAG_CLEAN 1U

typedef struct Header {
        uint32_t magic, type, mode, path_size, link_size, flags;
        uint64_t size;
        int64_t mtime_sec;
} Header;

bool bundle_path_is_plain(const char *path) {
        return strlen(path) <= BUNDLE_PATH_MAX && path_is_plain(path);
}

int bundle_writer_init(BundleWriter *writer, int fd) {
        *writer = (BundleWriter){ .fd = fd, .buffer = malloc(BUNDLE_BUFFER_BYTES) };
        return writer->buffer ? 0 : -ENOMEM;
}

void bundle_writer_done(BundleWriter *writer) {
        free(writer->buffer);
        writer->buffer = NULL;
}

static int flush(BundleWriter *writer) {
        int r = fd_write_all(writer->fd, writer->buffer, writer->size);

        writer->size = 0;
        return r;
}

int bundle_put_data(BundleWriter *writer, const void *data, size_t size) {
        if (writer->size + size > BUNDLE_BUFFER_BYTES) {
                int r = flush(writer);
                if (r < 0)
                        return r;
        }
        if (size > BUNDLE_BUFFER_BYTES)
                return fd_write_all(writer->fd, data, size);
        memcpy(writer->buffer + writer->size, data, size);
        writer->size += size;
        return 0;
}

static int put(BundleWriter *writer, const Header *header, const char *path, const char *link) {
        int r = bundle_put_data(writer, header, sizeof(*header));
        if (r < 0)
                return r;
        r = bundle_put_data(writer, path, header->path_size);
        return r < 0 ? r : bundle_put_data(writer, link, header->link_size);
}

int bundle_put(BundleWriter *writer, const BundleEntry *entry) {
        const Header header = {
                .magic = BUNDLE_MAGIC,
                .type = entry->type,
                .mode = entry->mode & 07777,
                .path_size = (uint32_t) strlen(entry->path),
                .link_size = entry->type == BUNDLE_SYMLINK ? (uint32_t) strlen(entry->link) : 0,
                .size = entry->type == BUNDLE_FILE || entry->type == BUNDLE_LISTED ? entry->size : 0,
                .mtime_sec = entry->mtime_sec,
                .flags = entry->clean ? FLAG_CLEAN : 0,
        };

        return bundle_path_is_plain(entry->path) ? put(writer, &header, entry->path, entry->link) : -EINVAL;
}

int bundle_put_file(BundleWriter *writer, int fd, uint64_t size) {
        static const char nothing[4096];

        while (size > 0) {
                if (writer->size == BUNDLE_BUFFER_BYTES) {
                        int r = flush(writer);
                        if (r < 0)
                                return r;
                }
                ssize_t n = read(fd, writer->buffer + writer->size, MIN(size, BUNDLE_BUFFER_BYTES - writer->size));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                writer->size += (size_t) n;
                size -= (uint64_t) n;
        }
        while (size > 0) {
                size_t n = MIN(size, sizeof(nothing));
                int r = bundle_put_data(writer, nothing, n);
                if (r < 0)
                        return r;
                size -= n;
        }
        return 0;
}

int bundle_finish(BundleWriter *writer) {
        const Header header = { .magic = BUNDLE_MAGIC, .type = BUNDLE_END };

        int r = put(writer, &header, "", "");
        return r < 0 ? r : flush(writer);
}

int bundle_reader_init(BundleReader *reader, int fd) {
        *reader = (BundleReader){
                .fd = fd, .buffer = malloc(BUNDLE_BUFFER_BYTES), .entries_left = UINT64_MAX, .names_left = UINT64_MAX
        };
        return reader->buffer ? 0 : -ENOMEM;
}

void bundle_reader_done(BundleReader *reader) {
        free(reader->buffer);
        reader->buffer = NULL;
}

/* Reads until the buffer has at least one byte. */
static int fill(BundleReader *reader) {
        if (reader->offset < reader->size)
                return 0;
        for (;;) {
                ssize_t n = read(reader->fd, reader->buffer, BUNDLE_BUFFER_BYTES);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                reader->offset = 0;
                reader->size = (size_t) n;
                return 0;
        }
}

static int take(BundleReader *reader, void *ret, size_t size) {
        while (size > 0) {
                int r = fill(reader);
                if (r < 0)
                        return r;
                size_t n = MIN(size, reader->size - reader->offset);
                memcpy(ret, reader->buffer + reader->offset, n);
                reader->offset += n;
                ret = (char *) ret + n;
                size -= n;
        }
        return 0;
}

int bundle_read(BundleReader *reader, const void **ret_data, size_t *ret_size) {
        *ret_size = 0;
        if (reader->left == 0)
                return 0;
        int r = fill(reader);
        if (r < 0)
                return r;
        *ret_data = reader->buffer + reader->offset;
        *ret_size = MIN(reader->left, reader->size - reader->offset);
        reader->offset += *ret_size;
        reader->left -= *ret_size;
        return 0;
}

static int take_text(BundleReader *reader, char ret[static BUNDLE_PATH_MAX + 1], size_t size) {
        int r = size > BUNDLE_PATH_MAX ? -EBADMSG : take(reader, ret, size);
        if (r < 0)
                return r;
        ret[size] = 0;
        return strlen(ret) == size ? 0 : -EBADMSG;
}

static int count(BundleReader *reader, const Header *header) {
        uint64_t size = sizeof(*header) + (uint64_t) header->path_size + header->link_size;

        if (reader->entries_left == 0 || reader->names_left < size)
                return -EFBIG;
        reader->entries_left--;
        reader->names_left -= size;
        return 0;
}

int bundle_next(BundleReader *reader, BundleEntry *ret) {
        const void *data;
        Header header;
        size_t size;

        do {
                int r = bundle_read(reader, &data, &size);
                if (r < 0)
                        return r;
        } while (size > 0);
        int r = take(reader, &header, sizeof(header));
        if (r < 0)
                return r;
        if (header.magic != BUNDLE_MAGIC || header.type < BUNDLE_FILE || header.type > BUNDLE_END)
                return -EBADMSG;
        if (header.type == BUNDLE_END)
                return 0;
        r = count(reader, &header);
        if (r < 0)
                return r;
        r = take_text(reader, ret->path, header.path_size);
        if (r < 0)
                return r;
        r = take_text(reader, ret->link, header.link_size);
        if (r < 0)
                return r;
        if (!bundle_path_is_plain(ret->path) || (header.type == BUNDLE_SYMLINK && !ret->link[0]))
                return -EBADMSG;
        ret->type = (BundleType) header.type;
        ret->mode = header.mode & 07777;
        ret->size = header.size;
        ret->mtime_sec = header.mtime_sec;
        ret->clean = header.flags & FLAG_CLEAN;
        reader->left = header.type == BUNDLE_FILE ? header.size : 0;
        return 1;
}
