/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the last maintenance of an image said: `<root_dir>/.logs/NAME`, text, locked (flock) as long as it goes on. It begins anew
 * with each maintenance. */

typedef struct MaintenanceLog {
        int fd; /* negative: nothing is written */
        size_t left_bytes;
} MaintenanceLog;

#define MAINTENANCE_LOG_NONE \
        (MaintenanceLog) {   \
                .fd = -EBADF \
        }

/* Begins the log of image @name. 0; or -errno, and then the other functions do nothing. */
int maintenance_log_begin(const char *root_dir, const char *name, MaintenanceLog *ret);
/* Adds a line. Of one that says too much, the end is lost. */
void maintenance_log_add(MaintenanceLog *log, const char *line);
/* Adds the result in a word, and closes it. */
void maintenance_log_end(MaintenanceLog *log, const char *result);

/* Opens it to be read: descriptor; -ENOENT: there is none; or another -errno. */
int maintenance_log_open(const char *root_dir, const char *name);
/* Does the maintenance go on that writes to @fd? */
bool maintenance_log_grows(int fd);
/* Removes it, with its image. Best effort. */
void maintenance_log_remove(const char *root_dir, const char *name);
