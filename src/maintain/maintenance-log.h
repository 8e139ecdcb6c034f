/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the last maintenance of an image printed: the text file `<root_dir>/.logs/NAME`. It is locked (flock) while the
 * maintenance runs, and begins anew with each one. */

#define MAINTENANCE_LOGS_DIRECTORY ".logs"

typedef struct MaintenanceLog {
        int fd; /* negative: no log is written */
        size_t left_bytes;
} MaintenanceLog;

#define MAINTENANCE_LOG_NONE \
        (MaintenanceLog) {   \
                .fd = -EBADF \
        }

/* Begins the log of image @name. 0, or -errno: then maintenance_log_add() and maintenance_log_end() do nothing with
 * *ret. */
int maintenance_log_begin(const char *root_dir, const char *name, MaintenanceLog *ret);
/* Adds a line. What goes beyond the log's size limit is dropped. */
void maintenance_log_add(MaintenanceLog *log, const char *line);
/* Adds @result, one word, and closes the log. */
void maintenance_log_end(MaintenanceLog *log, const char *result);

/* Opens the log of image @name for reading. Returns a descriptor; -ENOENT: there is no log; or another -errno. */
int maintenance_log_open(const char *root_dir, const char *name);
/* Is the maintenance that writes the log @fd still running? */
bool maintenance_log_grows(int fd);
/* Removes the log of image @name; called when the image is removed. Best effort. */
void maintenance_log_remove(const char *root_dir, const char *name);
