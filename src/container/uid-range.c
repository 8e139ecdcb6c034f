/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Takes a range of users for one container and gives it back. `supervise` calls this; `gc`, and whatever removes a
 * container, remove what killed holders left. The lock files are shared with systemd: a block is never used without its
 * lock, nor one in which the host has users. */

#include "container/uid-range.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/string.h"

#define FILE_BYTES_MAX ((size_t) 256 * 1024 * 1024)

/* UIDS-GIDS.md in systemd's source: the blocks for containers, 28664 of them. */
#define BASE_MIN UINT32_C(0x00080000)
#define BASE_MAX UINT32_C(0x6FFF0000)

/* Locks file @name: 0; -EBUSY when another holds it; -ESTALE when its holder just removed it (try again). */
static int lock_file(int dir_fd, const char *name, int flags, int *ret_fd) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        struct stat st;

        _cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | flags, 0600);
        if (fd < 0)
                return -errno;
        if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
                return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_nlink == 0)
                return -ESTALE;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static void unlock_file(int dir_fd, const char *name, int fd) {
        (void) unlinkat(dir_fd, name, 0); /* before the lock goes: see -ESTALE */
        close(fd);
}

static void block_name(const UidRange *range, size_t i, char ret[static 16]) {
        snprintf(ret, 16, "%u", range->base + (uint32_t) i * UID_BLOCK);
}

static void unlock_blocks(int dir_fd, UidRange *range) {
        char name[16];

        while (range->n_locks > 0) {
                block_name(range, --range->n_locks, name);
                unlock_file(dir_fd, name, range->lock_fds[range->n_locks]);
        }
}

/* For people who wonder whose files these are, above all if a killed holder left them. */
static void note_holder(const UidRange *range, const char *holder) {
        for (size_t i = 0; i < range->n_locks; i++)
                if (ftruncate(range->lock_fds[i], 0) == 0)
                        (void) dprintf(range->lock_fds[i], "%s\n", holder);
}

/* Locks all blocks of a range, or none. */
static int lock_blocks(int dir_fd, UidRange *range) {
        char name[16];

        while (range->n_locks < range->width / UID_BLOCK) {
                block_name(range, range->n_locks, name);
                int r = lock_file(dir_fd, name, O_CREAT, &range->lock_fds[range->n_locks]);
                if (r < 0) {
                        unlock_blocks(dir_fd, range);
                        return r;
                }
                range->n_locks++;
        }
        return 0;
}

/* A number that is all of the field, and what follows it; NULL: it is none. */
static const char *parse_field(const char *text, uint64_t *ret) {
        char *end;

        if (*text < '0' || *text > '9')
                return NULL;
        *ret = strtoull(text, &end, 10);
        return *end == ':' || *end == 0 ? end + (*end == ':') : NULL;
}

/* @line, without its end, has the first of its ids in field number @field (the name is number 0), and with @counted, how
 * many in the next one. */
static bool line_overlaps(const char *line, unsigned field, bool counted, uid_t base, uint32_t width) {
        uint64_t first, count = 1;

        for (; field > 0; field--) {
                line = strchr(line, ':');
                if (!line)
                        return false;
                line++;
        }
        line = parse_field(line, &first);
        if (!line || (counted && !parse_field(line, &count)))
                return false;
        return first < (uint64_t) base + width && count > 0 && (first >= base || count > base - first);
}

/* Does a line of file @path name a number in the range? True also where that cannot be told. */
static bool file_overlaps(const char *path, unsigned field, bool counted, uid_t base, uint32_t width) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        _cleanup_close_ int fd = file_open_regular(path);
        if (fd < 0)
                return fd != -ENOENT;
        if (fd_read_all(fd, FILE_BYTES_MAX, &data, &size) < 0)
                return true;
        for (char *line = data, *end; line < data + size; line = end + 1) {
                end = memchr(line, '\n', (size_t) (data + size - line));
                end = end ? end : data + size;
                *end = 0;
                if (line_overlaps(line, field, counted, base, width))
                        return true;
        }
        return false;
}

bool uid_range_is_known(const char *etc, uid_t base, uint32_t width) {
        static const struct {
                const char *name;
                unsigned field;
                bool counted;
        } files[] = {
                { "passwd", 2, false },
                { "group", 2, false },
                { "subuid", 1, true },
                { "subgid", 1, true },
        };

        /* The files only: asking the name service would load its modules and may ask a directory server, for a range
         * that systemd reserves for containers. */
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *path = NULL;

                if (string_printf(&path, "%s/%s", etc, files[i].name) < 0 ||
                    file_overlaps(path, files[i].field, files[i].counted, base, width))
                        return true;
        }
        return false;
}

int uid_range_acquire(const char *holder, uint64_t width, UidRange *ret) {
        static const uint8_t key[16] = "nspawn-runner-ui";
        Hash hash;

        if (width == 0 || width > UID_RANGE_MAX || width % UID_BLOCK != 0)
                return -EINVAL;
        int r = mkdir_parents(UID_RANGE_LOCKS, 0755);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open(UID_RANGE_LOCKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;

        /* Ranges of one width, side by side, leave no gaps that are too small for another. */
        uint32_t n_places = (uint32_t) ((BASE_MAX + UID_BLOCK - BASE_MIN) / width);
        hash_init(&hash, key);
        hash_string(&hash, holder);
        uint32_t place = (uint32_t) (hash_finish(&hash) % n_places);
        for (uint32_t i = 0; i < n_places; i++, place = (place + 1) % n_places) {
                UidRange range = { .base = BASE_MIN + place * (uint32_t) width, .width = (uint32_t) width };

                r = lock_blocks(dir_fd, &range);
                if (r == -EBUSY || r == -ESTALE)
                        continue;
                if (r < 0)
                        return r;
                if (!uid_range_is_known("/etc", range.base, range.width)) {
                        note_holder(&range, holder);
                        *ret = range;
                        return 0;
                }
                unlock_blocks(dir_fd, &range);
        }
        return -EBUSY;
}

void uid_range_release(UidRange *range) {
        if (range->n_locks == 0)
                return;
        _cleanup_close_ int dir_fd = open(UID_RANGE_LOCKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unlock_blocks(dir_fd, range);
}

/* Whether nobody holds lock file @name. It only asks: whoever finds the file locked for that leaves it where it is. */
static bool is_forgotten(int dir_fd, const char *name) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        struct stat st;

        _cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
        return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) >= 0 && lock.l_type == F_UNLCK && fstat(fd, &st) >= 0 &&
               st.st_nlink > 0;
}

int uid_range_collect(bool dry_run) {
        _cleanup_closedir_ DIR *dir = opendir(UID_RANGE_LOCKS);
        int n = 0;

        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        for (;;) {
                uint64_t base;
                int fd = -EBADF;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 ? -errno : n;
                if (parse_uint64(entry->d_name, &base) < 0 || base < BASE_MIN || base > BASE_MAX)
                        continue;
                if (dry_run) {
                        n += is_forgotten(dirfd(dir), entry->d_name);
                        continue;
                }
                if (lock_file(dirfd(dir), entry->d_name, 0, &fd) < 0)
                        continue;
                n++;
                unlock_file(dirfd(dir), entry->d_name, fd);
        }
}
