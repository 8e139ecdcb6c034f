/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What outlives calls of `exec`, in the home of the user who calls: below $XDG_STATE_HOME/nspawn-runner/exec/ (~/.local/state)
 * a directory for each working copy, with
 *      caches/       archives, by their keys
 *      artifacts/    archives of the last time each job ran
 *      runs/         a directory for each call that runs, with what its own jobs left and with files in the making
 *      sources/      the last commit as a repository of its own
 *      logs/         of the last time each job ran
 *      number        the last job's number */
typedef struct LocalStore {
        char *path;
        char *caches, *artifacts, *sources, *logs;
        char *run;       /* the directory of this call in runs/; NULL: it has none */
        int run_lock_fd; /* locked while the call runs, if there is @run */
} LocalStore;

/* Makes the directories that are missing, for the working copy with its top at @top, and one for this call. Removes those
 * of calls that were killed. 0 or -errno. */
int store_open(const char *top, LocalStore *ret);
/* From now on, the artifacts are those of the child pipeline of job @parent. 0 or -errno. */
int store_enter(LocalStore *store, const char *parent);
/* Removes the directory of this call. */
void store_done(LocalStore *store);

/* Takes @n numbers that no job of this working copy had. Returns the first one; 1 if the file cannot be used. */
uint64_t store_take_numbers(const LocalStore *store, uint64_t n);
