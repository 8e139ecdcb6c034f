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
        if (log->fd >= 0) {
                if (log->before != log->begin)
                        (void) unlinkat(log->directory->fd, segment_name(log->before, name), 0);
                log->before = log->begin;
                closep(&log->fd);
        } else {
                log->before = log->end;
        }
        log->fd = fd;
        log->begin = log->end;
        return 0;
}

void machine_log_append(MachineLog *log, const char *data, size_t size) {
        while (size > 0) {
                if ((log->fd < 0 || log->end - log->begin >= MACHINE_LOG_SEGMENT_BYTES) && begin_segment(log) < 0)
                        return;
                size_t n = MIN(size, MACHINE_LOG_SEGMENT_BYTES - (size_t) (log->end - log->begin));

                if (fd_write_all(log->fd, data, n) < 0)
                        return;
                log->end += n;
                data += n;
                size -= n;
        }
}

/* The file that has byte @offset, or else the first one after it. False: there is none. */
static bool find_segment(DIR *dir, uint64_t offset, uint64_t *ret_begin) {
        bool has_before = false, has_after = false;
        uint64_t before = 0, after = 0;
        struct dirent *entry;

        while ((entry = readdir(dir))) {
                const char *number = startswith(entry->d_name, PREFIX);
                uint64_t begin;

                if (!number || parse_uint64(number, &begin) < 0)
                        continue;
                if (begin <= offset && (!has_before || begin > before))
                        before = begin, has_before = true;
                if (begin > offset && (!has_after || begin < after))
                        after = begin, has_after = true;
        }
        *ret_begin = has_before ? before : after;
        return has_before || has_after;
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
        for (unsigned i = 0; i < TRIES_MAX; i++) {
                uint64_t from = *offset, begin;
                int dir_fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                _cleanup_closedir_ DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);

                if (!dir) {
                        int r = -errno;
                        if (dir_fd >= 0)
                                close(dir_fd);
                        return r;
                }
                if (!find_segment(dir, from, &begin))
                        return 0;
                from = MAX(from, begin);
                int r = read_segment(directory, begin, &from, ret, ret_size);
                if (r == -ESTALE)
                        continue;
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret_lost = from - *ret_size - *offset;
                        *offset = from;
                }
                return 0;
        }
        return 0;
}
