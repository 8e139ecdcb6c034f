/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes and reads the log of a machine, of limited size. `supervise` writes it, alone; `logs`, `prepare` and `run`
 * read it at the same time. A file is only appended to or removed, never rewritten: a reader never gets anything but
 * what was printed at that place. */

#include "machine/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define PREFIX "log."
#define NAME_BYTES 32
/* How often to begin again because the file to be read was removed meanwhile. */
#define TRIES_MAX 100

void machine_log_done(MachineLog *log) {
        closep(&log->fd);
        *log = MACHINE_LOG_NONE;
}

static const char *segment_name(uint64_t begin, char ret[static NAME_BYTES]) {
        snprintf(ret, NAME_BYTES, PREFIX "%" PRIu64, begin);
        return ret;
}

static int begin_segment(MachineLog *log) {
        char name[NAME_BYTES];

        int fd = openat(log->directory->fd, segment_name(log->end, name),
                        O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        closep(&log->fd);
        log->fd = fd;
        if (log->n == MACHINE_LOG_SEGMENTS)
                (void) unlinkat(log->directory->fd, segment_name(log->before, name), 0);
        else
                log->n++;
        log->before = log->begin;
        log->begin = log->end;
        return 0;
}

/* @size bytes are not written, or only some of them: the next ones are in a file of their own, which begins where they
 * belong. */
static void leave_out(MachineLog *log, size_t size) {
        char name[NAME_BYTES];

        if (log->fd >= 0 && log->begin == log->end) { /* this one was to be the first in its file */
                (void) unlinkat(log->directory->fd, segment_name(log->begin, name), 0);
                log->begin = log->before;
                log->n--;
        }
        closep(&log->fd);
        log->end += size;
}

void machine_log_append(MachineLog *log, const char *data, size_t size) {
        while (size > 0) {
                size_t room = log->fd < 0 ? 0 : MACHINE_LOG_SEGMENT_BYTES - (size_t) (log->end - log->begin);

                if (room == 0) {
                        if (begin_segment(log) < 0) {
                                leave_out(log, size);
                                return;
                        }
                        room = MACHINE_LOG_SEGMENT_BYTES;
                }
                size_t n = MIN(size, room);
                if (fd_write_all(log->fd, data, n) < 0) {
                        leave_out(log, size);
                        return;
                }
                log->end += n;
                data += n;
                size -= n;
        }
}

/* Finds the file that has byte @offset, or else the first one after it. *ret_next is where the one after that begins, or
 * UINT64_MAX: then, bytes may still be appended to the one that was found. 1; 0: there is none; or -errno. */
static int find_segment(const MachineDirectory *directory, uint64_t offset, uint64_t *ret_begin, uint64_t *ret_next) {
        _cleanup_closedir_ DIR *dir = directory_stream_of(directory->fd);
        uint64_t before = 0, after = UINT64_MAX;
        bool has_before = false;

        if (!dir)
                return -errno;
        for (;;) {
                uint64_t begin;

                struct dirent *entry = directory_next(dir);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                const char *number = startswith(entry->d_name, PREFIX);
                if (!number || parse_uint64(number, &begin) < 0)
                        continue;
                if (begin <= offset && (!has_before || begin > before))
                        before = begin, has_before = true;
                if (begin > offset && begin < after)
                        after = begin;
        }
        *ret_begin = has_before ? before : after;
        *ret_next = has_before ? after : UINT64_MAX;
        return has_before || after != UINT64_MAX;
}

/* 1: read; 0: nothing there; -ESTALE: look again. */
static int read_segment(const MachineDirectory *directory, uint64_t begin, uint64_t *offset, char **ret,
                        size_t *ret_size) {
        char name[NAME_BYTES];
        struct stat st;

        _cleanup_close_ int fd = openat(directory->fd, segment_name(begin, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? -ESTALE : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        uint64_t end = begin + (uint64_t) st.st_size;
        if (*offset >= end)
                return 0;
        size_t size = (size_t) (end - *offset);
        _cleanup_free_ char *data = malloc(size);
        if (!data)
                return -ENOMEM;
        ssize_t n = pread(fd, data, size, (off_t) (*offset - begin));
        if (n < 0)
                return -errno;
        *offset += (uint64_t) n;
        *ret = TAKE_PTR(data);
        *ret_size = (size_t) n;
        return 1;
}

int machine_log_read(const MachineDirectory *directory, uint64_t *offset, char **ret, size_t *ret_size,
                     uint64_t *ret_lost) {
        *ret = NULL;
        *ret_size = 0;
        *ret_lost = 0;
        uint64_t from = *offset, begin = 0, next = UINT64_MAX;
        for (unsigned i = 0; i < TRIES_MAX; i++) {
                int r = find_segment(directory, from, &begin, &next);
                if (r <= 0)
                        return r;
                from = MAX(from, begin);
                r = read_segment(directory, begin, &from, ret, ret_size);
                if (r == -ESTALE)
                        continue;
                if (r < 0)
                        return r;
                if (r == 0 && next != UINT64_MAX) { /* there was no room for what was printed there */
                        from = next;
                        continue;
                }
                if (r > 0) {
                        *ret_lost = from - *ret_size - *offset;
                        *offset = from;
                }
                return 0;
        }
        return 0;
}
