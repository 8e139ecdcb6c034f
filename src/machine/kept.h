/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* The machine of a failed job can stay for a while, for people to look into (setting keep_failed, or `exec --keep-failed`). A file in its
 * directory says until when. Until that time the machine counts as owned (machine/collect.h), and then as dead,
 * although it still runs. */

/* Notes the result of the last script that decided about the job: @how says in a few words how it failed; NULL: it
 * succeeded. @stage may be NULL. Best effort. */
void kept_note(const MachineDirectory *directory, const char *stage, const char *how);

/* Until when the machine is kept, by clock_now_usec(). False: it is not kept. */
bool kept_until(const MachineDirectory *directory, uint64_t *ret);

typedef enum KeepOutcome {
        KEEP_NOT = 0, /* the settings do not want it, the job did not fail, or it does not run any more */
        KEEP_BEGUN,   /* it is kept from now on */
        KEEP_ALREADY, /* it was kept before */
} KeepOutcome;

/* Keeps the machine of job @id for @keep_usec (0: not at all), if the job failed. *ret_until gets until when, and *ret_why what
 * failed, to be freed, unless it is KEEP_NOT. Removes others that have been kept longest where there are more than
 * settings->keep_failed_max. A KeepOutcome or -errno. */
int machine_keep(const Settings *settings, const char *id, uint64_t keep_usec, uint64_t *ret_until, char **ret_why);

/* Is machine @id, of which this is the directory, kept, or the job that it is a service of? */
bool kept_or_job_is(const MachineDirectory *directory, const char *id);

/* The ids of all machines that are kept, those whose time is over first. *ret is for strv_free(). 0 or -errno. */
int kept_list(const Settings *settings, char ***ret);

/* Waits until the time of machine @id is over, or it has ended. Then it may be removed, unless it is not kept (any more). 0 or
 * -errno. */
int kept_wait(const Settings *settings, const char *id);

/* Removes kept machines, the one whose time is over first, until @is_enough says that it will do. 0; or the first -errno, with
 * others removed. */
int kept_give_way(const Settings *settings, bool (*is_enough)(void *userdata), void *userdata);
