/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies the data of one regular file, by the cheapest way that the file systems allow: sharing blocks, copying inside
 * the kernel, or read and write. Only copy-tree.c and export.c call this; they open the files and copy everything else
 * about them. */

#include "tree/copy-content.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/string.h"

#define BUFFER_BYTES ((size_t) 256 * 1024)
/* How much to copy between two checks whether to go on. */
#define CHUNK_BYTES ((size_t) 64 * 1024 * 1024)

int content_copy_init(ContentCopy *copy) {
        copy->buffer = malloc(BUFFER_BYTES);
        return copy->buffer ? 0 : -ENOMEM;
}

void content_copy_done(ContentCopy *copy) {
        free(copy->buffer);
        copy->buffer = NULL;
}

static int copy_buffered(const ContentCopy *copy, int source_fd, int target_fd, off_t from, off_t to) {
        while (from < to) {
                ssize_t n = pread(source_fd, copy->buffer, (size_t) MIN((off_t) BUFFER_BYTES, to - from), from);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : CONTENT_SHORTER;
                for (ssize_t done = 0; done < n;) {
                        ssize_t written = pwrite(target_fd, copy->buffer + done, (size_t) (n - done), from + done);
                        if (written < 0 && errno != EINTR)
                                return -errno;
                        done += MAX(written, (ssize_t) 0);
                }
                from += n;
        }
        return 0;
}

static int copy_range(const ContentCopy *copy, int source_fd, int target_fd, off_t from, off_t to) {
        while (from < to) {
                off_t end = MIN(to, from + (off_t) CHUNK_BYTES), in = from, out = from;
                bool large = end - from > (off_t) BUFFER_BYTES;

                while (large && in < end) {
                        ssize_t n = copy_file_range(source_fd, &in, target_fd, &out, (size_t) (end - in), 0);
                        if (n < 0 && errno == EINTR)
                                continue;
                        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
                                return -errno;
                        if (n <= 0)
                                break; /* the kernel cannot copy between these two: read and write */
                }
                int r = copy_buffered(copy, source_fd, target_fd, in, end);
                if (r != 0)
                        return r;
                from = end;
                if (from < to && copy->is_stopped && copy->is_stopped(copy->userdata))
                        return -ECANCELED;
        }
        return 0;
}

/* Whether the file still is as long: 0, CONTENT_SHORTER, or -errno. */
static int has_size(int fd, off_t size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        return st.st_size < size ? CONTENT_SHORTER : 0;
}

/* Copies only where there is data; holes stay holes and read as zeros. */
static int copy_sparse(const ContentCopy *copy, int source_fd, int target_fd, off_t size) {
        for (off_t offset = 0; offset < size;) {
                off_t data = lseek(source_fd, offset, SEEK_DATA);
                if (data < 0)
                        return errno == ENXIO ? has_size(source_fd, size) : -errno;
                off_t hole = lseek(source_fd, data, SEEK_HOLE);
                if (hole < 0)
                        return errno == ENXIO ? CONTENT_SHORTER : -errno;
                int r = copy_range(copy, source_fd, target_fd, data, MIN(hole, size));
                if (r != 0)
                        return r;
                offset = hole;
        }
        return 0;
}

int content_copy(ContentCopy *copy, int source_fd, int target_fd, const struct stat *st) {
        if (st->st_size == 0)
                return 0;
        if (!copy->no_clone) {
                if (ioctl(target_fd, FICLONE, source_fd) >= 0)
                        return 0;
                /* EINVAL: these two cannot share, for example because only one has copy-on-write */
                if (errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOSYS || errno == EXDEV)
                        copy->no_clone = true;
                else if (errno != EINVAL)
                        return -errno;
        }
        int r = st->st_blocks < st->st_size / 512 ? copy_sparse(copy, source_fd, target_fd, st->st_size) :
                                                    copy_range(copy, source_fd, target_fd, 0, st->st_size);
        if (r != 0)
                return r;
        return ftruncate(target_fd, st->st_size) < 0 ? -errno : 0;
}
