/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/state.h"

/* The life of a job's machine on the host. */

/* How long anything of a job may take to go away once it was killed. */
#define JOB_STOP_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Where a start failed, for the message. */
typedef enum StartStep {
        START_STATE,      /* the runtime directory */
        START_TREE,       /* the image: nothing may be started in such a tree (tree/check.h) */
        START_LAYER,      /* the layer in the image root */
        START_SUPERVISOR, /* the unit or the detached process */
        START_READY,      /* the machine ended, or did not answer in time */
} StartStep;

/* Starts the machine of @machine, whose job directory the caller made and holds locked, and waits until its agent answers.
 * @image_fd is the image of the machine's generation; it gets the image's shared lock.
 * Something readable on @signal_fd (negative: none) interrupts that. @supervise_argv is the command that carries it out.
 * Returns 0, or -errno (-EUCLEAN at START_TREE: the image is refused, and the file JOB_FILE_ENDED says why; -ECONNRESET: the
 * machine ended at once;
 * -ETIMEDOUT; -EINTR) with *ret_step set; what is left
 * behind is for job_remove(). */
int job_start(const Machine *machine, const JobDirectory *directory, char *const supervise_argv[], int image_fd,
              uint64_t timeout_usec, int signal_fd, StartStep *ret_step);

/* Removes everything of job @id: processes, unit, control groups, layer, locks, and last the directory, which the caller
 * holds locked. Nothing there is success. 0, or -errno with the directory still there, to be tried again. */
int job_remove_locked(const Settings *settings, const char *id);

/* The same for callers without the lock; waits for who holds it, while killing what that one starts. */
int job_remove(const Settings *settings, const char *id);

/* Is there anything of job @id to be seen in the directories? */
bool job_exists(const Settings *settings, const char *id);

/* What is known of a job of this configuration. */
typedef enum JobState {
        JOB_BUSY,    /* being prepared or removed */
        JOB_RUNNING, /* its supervisor lives */
        JOB_DEAD,    /* nobody owns what is left */
        JOB_GONE,    /* nothing is left: it was removed since it was listed */
} JobState;

JobState job_state(const Settings *settings, const char *id);
const char *job_state_name(JobState state);

/* The ids of all jobs of this configuration that anything is left of, sorted, each once: directories and layers, and with
 * @thorough units and control groups. */
int job_list(const Settings *settings, bool thorough, char ***ret);

/* Removes the jobs that are dead. Looks only at directories and layers unless @thorough, then at units and control
 * groups too. The ids go to @ret_removed (NULL: not wanted). 0, or the first -errno with the others done. */
int job_collect(const Settings *settings, bool thorough, char ***ret_removed);

/* The cheap part of it, for `prepare`, as far as it is done within seconds and before @cancel_fd becomes readable. Jobs
 * whose machine ended by itself a moment ago stay: their next step says why. Best effort. */
void job_collect_some(const Settings *settings, int cancel_fd);

/* The ids of the dead jobs: what job_collect() would remove. */
int job_list_dead(const Settings *settings, bool thorough, char ***ret);
