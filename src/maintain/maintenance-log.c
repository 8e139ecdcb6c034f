/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps what the last maintenance of an image printed, for `logs`: a timer may have started that maintenance, and the
 * journal may no longer have its lines. chroot-maintenance calls this. The log is only for people: nothing may depend
 * on it, and no maintenance may fail because of it. */

#include "maintain/maintenance-log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "config/image-name.h"

#define LOG_MAX_BYTES ((size_t) 1024 * 1024)

static int open_directory(const char *root_dir, bool create) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/" MAINTENANCE_LOGS_DIRECTORY, root_dir);
        return r < 0 ? r : open_directory_at(AT_FDCWD, path, create, 0700);
}

static int open_log(const char *root_dir, const char *name, int flags) {
        if (image_name_problem(name))
                return -ENOENT;
        _cleanup_close_ int dir_fd = open_directory(root_dir, flags & O_CREAT);
        if (dir_fd < 0)
                return dir_fd;
        int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
        return fd < 0 ? -errno : fd;
}

int maintenance_log_begin(const char *root_dir, const char *name, MaintenanceLog *ret) {
        time_t now = time(NULL);
        struct tm tm;
        char text[64];

        _cleanup_close_ int fd = open_log(root_dir, name, O_WRONLY | O_CREAT);
        if (fd < 0)
                return fd;
        /* If another maintenance of the image writes its log, ours gets none. */
        int r = lock_try(fd, LOCK_EX);
        if (r < 0)
                return r;
        if (ftruncate(fd, 0) < 0)
                return -errno;
        *ret = (MaintenanceLog){ .fd = TAKE_FD(fd), .left_bytes = LOG_MAX_BYTES };
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S: maintenance begins", localtime_r(&now, &tm));
        maintenance_log_add(ret, text);
        return 0;
}

void maintenance_log_add(MaintenanceLog *log, const char *line) {
        size_t size = strlen(line);

        if (log->fd < 0 || log->left_bytes == 0)
                return;
        if (size >= log->left_bytes) {
                log->left_bytes = 0;
                (void) dprintf(log->fd, "(it says more than is kept)\n");
                return;
        }
        log->left_bytes -= size + 1;
        (void) dprintf(log->fd, "%s\n", line);
}

void maintenance_log_end(MaintenanceLog *log, const char *result) {
        time_t now = time(NULL);
        struct tm tm;
        char text[32];

        if (log->fd < 0)
                return;
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
        (void) dprintf(log->fd, "%s: %s\n", text, result);
        closep(&log->fd);
        *log = MAINTENANCE_LOG_NONE;
}

int maintenance_log_open(const char *root_dir, const char *name) {
        return open_log(root_dir, name, O_RDONLY);
}

bool maintenance_log_grows(int fd) {
        if (lock_try(fd, LOCK_SH) < 0)
                return true;
        (void) lock_try(fd, LOCK_UN);
        return false;
}

void maintenance_log_remove(const char *root_dir, const char *name) {
        _cleanup_close_ int dir_fd = open_directory(root_dir, false);

        if (dir_fd >= 0)
                (void) unlinkat(dir_fd, name, 0);
}
