/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps layers of jobs that have ended until somebody has removed them. Called by whatever removes a container, by
 * `gc`, and by the process in the background (`empty-trash`). Jobs have filled these trees, so they are hostile:
 * nothing in them is followed or believed. Whoever is killed here leaves something that the next one goes on with. */

#include "storage/trash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/new-file.h"
#include "base/string.h"
#include "storage/storage.h"
#include "tree/remove.h"

/* btrfs removes the content of a subvolume some time later: it begins at least twice a minute. Whoever comes later goes on
 * with what it has not removed by then. */
#define KERNEL_TIMEOUT_USEC (120 * USEC_PER_SEC)
#define KERNEL_POLL_USEC (500 * USEC_PER_MSEC)

int trash_open(const char *root_dir, bool create) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/" TRASH_DIRECTORY, root_dir);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, create, 0700);
}

int trash_take(int trash_fd, int dir_fd, const char *name) {
        const char *slash = strrchr(name, '/');
        _cleanup_free_ char *target = NULL;
        char random[RANDOM_NAME_BYTES];

        int r = random_name(random);
        if (r < 0)
                return r;
        r = string_printf(&target, "%s.%s", slash ? slash + 1 : name, random);
        if (r < 0)
                return r;
        return renameat2(dir_fd, name, trash_fd, target, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int trash_list(int trash_fd, char ***names) {
        return directory_names(trash_fd, names);
}

bool trash_waits(int trash_fd) {
        _cleanup_strv_ char **names = NULL;

        if (trash_list(trash_fd, &names) < 0 || !names)
                return false;
        /* As it is opened anew, the lock of whoever works in the background is seen, and ours goes with it. */
        _cleanup_close_ int fd = openat(trash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 && lock_try(fd, LOCK_SH) == 0;
}

/* 0; 1: somebody else is at it, and we do not @wait; -ETIME; -EINPROGRESS; or another -errno (-EBUSY: something is mounted
 * there). */
static int remove_entry(int trash_fd, const char *name, bool wait, uint64_t deadline) {
        _cleanup_close_ int fd = open_directory_at(trash_fd, name, false, 0);

        if (fd == -ENOENT)
                return 0;
        if (fd >= 0) {
                int r = lock_wait(fd, LOCK_EX, wait ? USEC_INFINITY : 0);
                if (r < 0)
                        return r == -EBUSY ? 1 : r;
                /* What needs more than to be unlinked; the rest goes with what nobody knows. */
                r = storage_remove_any(fd, deadline);
                if (r < 0)
                        return r;
        }
        return remove_tree_until(trash_fd, name, deadline);
}

static int empty_once(int trash_fd, bool wait, uint64_t deadline, char ***removed) {
        _cleanup_strv_ char **names = NULL;
        int result = 0;

        int r = trash_list(trash_fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                r = remove_entry(trash_fd, *name, wait, deadline);
                if (r == -ETIME)
                        return r;
                if (r == 0 && removed)
                        r = strv_extend(removed, *name);
                if (r < 0 && (result == 0 || result == -EINPROGRESS))
                        result = r;
        }
        return result;
}

int trash_empty(int trash_fd, uint64_t deadline, char ***removed) {
        int r = empty_once(trash_fd, false, deadline, removed);

        return r == -EINPROGRESS ? TRASH_LATER : r;
}

/* With the lock: until a round removes nothing. Who works on an entry may have only so much time for it, so wait. */
static int empty_in_rounds(int trash_fd) {
        uint64_t deadline = clock_deadline(KERNEL_TIMEOUT_USEC);

        for (;;) {
                _cleanup_strv_ char **removed = NULL;

                int r = empty_once(trash_fd, true, USEC_INFINITY, &removed);
                if (removed)
                        deadline = clock_deadline(KERNEL_TIMEOUT_USEC);
                else if (r != -EINPROGRESS || clock_now_usec() >= deadline)
                        return r;
                else
                        clock_sleep_usec(KERNEL_POLL_USEC);
        }
}

int trash_empty_alone(int trash_fd) {
        _cleanup_close_ int lock_fd = openat(trash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (lock_fd < 0)
                return -errno;
        do {
                r = lock_try(lock_fd, LOCK_EX);
                if (r < 0)
                        return r == -EBUSY ? 0 : r;
                r = empty_in_rounds(trash_fd);
                /* Somebody may have put something here and gone, because we had the lock: look again without it. */
                int q = lock_try(lock_fd, LOCK_UN);
                if (q < 0)
                        return q;
        } while (r == 0 && trash_waits(trash_fd));
        return r == -EINPROGRESS ? 0 : r;
}
