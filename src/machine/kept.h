/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* The machine of a failed job can stay for a while, for people to look into (setting keep_failed, or `exec
 * --keep-failed`). A file in its directory says until when. Until that time the machine counts as owned
 * (machine/collect.h), and then as dead, although it still runs. */

/* Notes the result of the last script that decided about the job: @how says in a few words how it failed; NULL: it
 * succeeded. @stage may be NULL. Best effort. */
void kept_note(const MachineDirectory *directory, const char *stage, const char *how);

/* Until when the machine is kept, by clock_now_usec(). False: it is not kept. */
bool kept_until(const MachineDirectory *directory, uint64_t *ret);

typedef enum KeepOutcome {
        KEEP_NOT = 0,   /* the settings do not want it, the job did not fail, or it does not run any more */
        KEEP_BEGUN,     /* it is kept from now on */
        KEEP_ALREADY,   /* it was kept before, and its time is not over */
        KEEP_TOO_LARGE, /* it alone has written more than settings->keep_failed_size_bytes */
} KeepOutcome;

/* Keeps the machine of job @id for @keep_usec (0: only if it is kept already), if the job failed. *ret_until gets until
 * when, unless it is KEEP_NOT or KEEP_TOO_LARGE, and *ret_why what failed, to be freed, unless it is KEEP_NOT. What it
 * has written is measured for some milliseconds only: see kept_measure(). Then does what kept_limit() does. A
 * KeepOutcome or -errno. */
int machine_keep(const Settings *settings, const char *id, uint64_t keep_usec, uint64_t *ret_until, char **ret_why);

/* Is machine @id, of which this is the directory, kept, or the job that it is a service of? */
bool kept_or_job_is(const MachineDirectory *directory, const char *id);

/* Measures what machine @id, which is kept, and its services have written, however long it takes. 0 or -errno. */
int kept_measure(const Settings *settings, const char *id);

/* Removes those that have been kept longest, until there are no more than settings->keep_failed_max, and what is known of their
 * sizes adds up to settings->keep_failed_size_bytes at most. 0; or the first -errno, with others removed. */
int kept_limit(const Settings *settings);

/* The ids of all machines that are kept, those whose time is over first. *ret is for strv_free(). 0 or -errno. */
int kept_list(const Settings *settings, char ***ret);

/* Waits until the time of machine @id is over, or it has ended: then it may be removed, unless it is not kept (any
 * more). Waits no longer than @deadline (clock_deadline()): -ETIME. 0 or another -errno. */
int kept_wait(const Settings *settings, const char *id, uint64_t deadline);

/* Removes kept machines, the one whose time is over first, until @is_enough says that it will do. 0; or the first -errno, with
 * others removed. */
int kept_give_way(const Settings *settings, bool (*is_enough)(void *userdata), void *userdata);
