/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/lines.h"
#include "cli/make-common.h"
#include "command/command.h"
#include "definition/definition.h"
#include "maintain/forecast.h"
#include "maintain/maintenance-log.h"

/* The images that chroot-maintenance works on. */

/* One image of the list. Each is made by a process of its own, which tells what came of it by its exit status. */
typedef enum ItemState {
        ITEM_WAITING,
        ITEM_RUNNING,
        ITEM_CREATED,
        ITEM_UPDATED,
        ITEM_UNCHANGED,
        ITEM_FAILED,
} ItemState;

typedef struct Item {
        char *name;
        Definition *definition; /* NULL: it cannot be used */
        ItemState state;
        pid_t pid;
        int output_fd;
        Lines output;
        uint64_t begin_usec, end_usec;
        Forecast forecast; /* --dry-run */
        char *reason;      /* what it said when it failed; NULL: nothing */
        MaintenanceLog log;
} Item;

typedef struct Maintenance {
        const Invocation *invocation;
        const Settings *settings;
        Item *items;
        size_t n, n_running, jobs;
        int signal_fd;
        bool stopping;
        int signal; /* that stops it */
        bool json;
        bool bad_files; /* something in the directories is meant as a definition and cannot be one */
} Maintenance;

/* The image called @name, or NULL. */
Item *maintenance_item(const Maintenance *m, const char *name);
bool maintenance_is_over(const Item *item);

/* Did all go well? 0; 128 and the number of the signal that stopped it; or -EIO. */
int maintenance_result(const Maintenance *m);

/* Prints what would be done with each image, whose states it sets: as maintenance_result(), or -errno, logged. */
int maintenance_forecast(const Maintenance *m);
