/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps how a job ended in its directory, from `run`, which knows that of each script, to `cleanup`, which counts the job.
 * Called only where the metrics want it. Never decides about the job itself. */

#include "machine/job-end.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/string.h"

/* "RESULT CAUSE STAGE" */
#define FILE_RESULT "result"
#define STAGE_MAX 64

static const struct {
        const char *result, *cause;
} ends[JOB_ENDS] = {
        [JOB_UNFINISHED] = { "unfinished", "none" }, [JOB_SUCCESS] = { "success", "none" },
        [JOB_SCRIPT] = { "failed", "script" },       [JOB_SIGNAL] = { "failed", "signal" },
        [JOB_MEMORY] = { "failed", "memory" },       [JOB_DISK] = { "failed", "disk" },
        [JOB_TASKS] = { "failed", "tasks" },         [JOB_START] = { "failed", "start" },
        [JOB_CONTAINER] = { "failed", "container" }, [JOB_TIMEOUT] = { "failed", "timeout" },
        [JOB_CANCELED] = { "canceled", "none" },     [JOB_SYSTEM] = { "system_failure", "system" },
};

const char *job_end_result(JobEnd end) {
        return ends[end].result;
}

const char *job_end_cause(JobEnd end) {
        return ends[end].cause;
}

/* Which end has these two words. JOB_ENDS: none. */
static JobEnd job_end_from_words(const char *result, const char *cause) {
        for (JobEnd end = 0; end < JOB_ENDS; end++)
                if (streq(ends[end].result, result) && streq(ends[end].cause, cause))
                        return end;
        return JOB_ENDS;
}

/* @ret_stage (may be NULL) points into @text, which is changed. */
static JobEnd parse(char *text, const char **ret_stage) {
        char *result = text ? strsep(&text, " ") : NULL, *cause = text ? strsep(&text, " ") : NULL;
        JobEnd end = result && cause && text ? job_end_from_words(result, cause) : JOB_ENDS;

        if (end == JOB_ENDS)
                return JOB_UNFINISHED;
        if (ret_stage)
                *ret_stage = text;
        return end;
}

JobEnd job_end_read(const MachineDirectory *directory) {
        _cleanup_free_ char *text = machine_file_read(directory, FILE_RESULT);

        return parse(text, NULL);
}

void job_end_note(const MachineDirectory *directory, const char *stage, JobEnd end, bool decides, bool is_own) {
        _cleanup_free_ char *text = machine_file_read(directory, FILE_RESULT), *next = NULL;
        const char *stage_before = NULL;
        char name[STAGE_MAX + 1];

        if (!decides)
                return;
        snprintf(name, sizeof(name), "%s", isempty(stage) ? "script" : stage);
        JobEnd before = parse(text, &stage_before);
        bool failed_before = before != JOB_UNFINISHED && before != JOB_SUCCESS;
        if (end == JOB_SUCCESS && failed_before && !streq_null(stage_before, name))
                return;
        if (end == JOB_SUCCESS && is_own) { /* it may be one that GitLab Runner has tried again */
                if (failed_before)
                        (void) unlinkat(directory->fd, FILE_RESULT, 0);
                return;
        }
        if (string_printf(&next, "%s %s %s", ends[end].result, ends[end].cause, name) >= 0)
                (void) machine_file_write(directory, FILE_RESULT, next);
}
