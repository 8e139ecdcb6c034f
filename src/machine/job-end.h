/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* How a job ended, and why: for the metrics. */
typedef enum JobEnd {
        JOB_UNFINISHED, /* it was removed before a script decided about it */
        JOB_SUCCESS,
        JOB_SCRIPT, /* a script had another exit status than 0 */
        JOB_SIGNAL, /* a script was killed by a signal */
        JOB_MEMORY, /* a limit of the job, or the host's, was reached while a script failed */
        JOB_DISK,
        JOB_TASKS,
        JOB_START,     /* its script cannot be started: no such shell, user or directory */
        JOB_CONTAINER, /* the job switched its own container off */
        JOB_TIMEOUT,   /* cancelled at the end of its time */
        JOB_CANCELED,
        JOB_SYSTEM, /* the host or this program is at fault */
        JOB_ENDS,
} JobEnd;

/* "failed" and "memory", for instance: static, short words. */
const char *job_end_result(JobEnd end);
const char *job_end_cause(JobEnd end);

/* Notes in the job's directory how its script of @stage (NULL: not said) ended. @decides: the job fails when that script does;
 * @is_own: GitLab Runner wrote the script, so that its success says nothing of the job. A failure stays until a script of the
 * same stage succeeds. Best effort. */
void job_end_note(const MachineDirectory *directory, const char *stage, JobEnd end, bool decides, bool is_own);

/* What was noted last; nothing, or no sense: JOB_UNFINISHED. */
JobEnd job_end_read(const MachineDirectory *directory);
