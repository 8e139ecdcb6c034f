/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "wire/wire.h"

/* One script, run by the agent of a job's machine, seen from the host. */

typedef enum StepResult {
        STEP_EXITED,       /* see exited */
        STEP_NO_SHELL,     /* the shell could not be executed: see error */
        STEP_FAILED,       /* the agent could not start it: see error */
        STEP_MACHINE_GONE, /* the connection broke: the machine ended, or the agent was replaced */
        STEP_CANCELLED,    /* SIGTERM, SIGINT or SIGHUP came; the step has ended, or its time for that is over */
} StepResult;

typedef struct StepOutcome {
        StepResult result;
        WireExited exited;
        int error;  /* positive errno */
        int signal; /* that cancelled */
} StepOutcome;

/* Runs the script in @script_fd with @shell ("": the image's own) over connection @socket_fd, copying its output to our
 * stdout and stderr, until it ended and all that it wrote is delivered. Whatever reads our output may close it: the step
 * goes on. Returns 0 with the outcome, or -errno. */
int step_run(int socket_fd, const char *shell, int script_fd, uint64_t kill_timeout_usec, StepOutcome *ret);
