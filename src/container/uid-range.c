/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "container/uid-range.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/string.h"
#include "container/machine.h"

#define LOCK_DIR "/run/systemd/nspawn-uid"

/* UIDS-GIDS.md in systemd's source: the ranges for containers, 1 GiB of them. */
#define BASE_MIN UINT32_C(0x00080000)
#define BASE_MAX UINT32_C(0x6FFF0000)
#define TRIES_MAX 500

static uid_t candidate_from(uint32_t number) {
        return (uid_t) (((number % (BASE_MAX - BASE_MIN)) + BASE_MIN) & ~UINT32_C(0xFFFF));
}

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

/* A range that the host's user database knows belongs to somebody. The files only: asking the name service would
 * load its modules and may ask a directory server, for a range that systemd reserves for containers. */
static bool known_to_host(const char *path, uid_t base) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        char line[4096];

        while (f && fgets(line, sizeof(line), f)) {
                unsigned long id;

                if (sscanf(line, "%*[^:]:%*[^:]:%lu:", &id) == 1 && id >= base && id - base < UID_RANGE)
                        return true;
        }
        return false;
}

int uid_range_acquire(const char *seed, UidRange *ret) {
        static const uint8_t key[16] = "nspawn-runner-ui";
        Hash hash;

        int r = mkdir_parents(LOCK_DIR, 0755);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open(LOCK_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;

        hash_init(&hash, key);
        hash_string(&hash, seed);
        uid_t base = candidate_from((uint32_t) hash_finish(&hash));
        for (unsigned i = 0; i < TRIES_MAX; i++) {
                UidRange range = { .base = base, .lock_fd = -EBADF };
                uint32_t number;
                char name[16];

                snprintf(name, sizeof(name), "%u", base);
                r = lock_file(dir_fd, name, O_CREAT, &range.lock_fd);
                if (r >= 0) {
                        if (!known_to_host("/etc/passwd", base) && !known_to_host("/etc/group", base)) {
                                *ret = range;
                                return 0;
                        }
                        uid_range_release(&range);
                } else if (r != -EBUSY && r != -ESTALE) {
                        return r;
                }
                if (getrandom(&number, sizeof(number), 0) != sizeof(number))
                        return -EIO;
                base = candidate_from(number);
        }
        return -EBUSY;
}

void uid_range_release(UidRange *range) {
        char path[64];

        if (range->lock_fd < 0)
                return;
        snprintf(path, sizeof(path), LOCK_DIR "/%u", range->base);
        (void) unlink(path); /* before the lock goes: see -ESTALE */
        closep(&range->lock_fd);
        range->lock_fd = -EBADF;
}

int uid_range_collect(bool dry_run) {
        _cleanup_closedir_ DIR *dir = opendir(LOCK_DIR);
        struct dirent *entry;
        int n = 0;

        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        while ((entry = readdir(dir))) {
                UidRange range = UID_RANGE_NONE;
                uint64_t base;

                if (parse_uint64(entry->d_name, &base) < 0 || base < BASE_MIN || base > BASE_MAX)
                        continue;
                if (lock_file(dirfd(dir), entry->d_name, 0, &range.lock_fd) < 0)
                        continue;
                range.base = (uid_t) base;
                n++;
                if (dry_run)
                        closep(&range.lock_fd);
                else
                        uid_range_release(&range);
        }
        return n;
}
