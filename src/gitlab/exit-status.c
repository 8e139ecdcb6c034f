/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns the result of a stage into the exit status by which GitLab Runner tells the job's fault from the system's, and
 * reports a script's own status. main.c and the stages call this. A failure of the job must never look like a failure
 * of the system, after which GitLab Runner tries again, nor the other way round. */

#include "gitlab/exit-status.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/string.h"

static int from_environment(const char *name, int fallback) {
        const char *text = getenv(name);
        uint64_t status;

        if (!text || parse_uint64(text, &status) < 0 || status == 0 || status > 255)
                return fallback;
        return (int) status;
}

int exit_status_for_stage(int result) {
        if (result == 0)
                return 0;
        return result < 0 ? from_environment(SYSTEM_FAILURE_VARIABLE, 2) : from_environment(BUILD_FAILURE_VARIABLE, 1);
}

static const char *report_path(void) {
        const char *path = getenv(EXIT_CODE_VARIABLE);
        return isempty(path) ? NULL : path;
}

bool exit_status_is_reported(void) {
        return report_path();
}

int exit_status_report(int status) {
        const char *path = report_path();
        char text[16];

        if (!path)
                return 0;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
                return -errno;
        int n = snprintf(text, sizeof(text), "%d\n", status);
        int r = fd_write_all(fd, text, (size_t) n);
        /* GitLab Runner takes an empty file for a failure of the system, and a missing file for exit status 1. */
        if (r < 0)
                (void) unlink(path);
        return r;
}

void exit_status_forget(void) {
        const char *path = report_path();

        if (path)
                (void) unlink(path);
}
