/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `prepare`, `run`, `cleanup` and `exec-step` share: which job this is, and why its container ended. These
 * functions log to the job's log, which others can read, so no secret may get there. */

#include "cli/job-common.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/string.h"
#include "gitlab/job.h"
#include "local/broker-client.h"

#define CONSOLE_LINES 15
/* How long a supervisor may take to write why its container ended. */
#define ENDED_TIMEOUT_USEC (2 * USEC_PER_SEC)

int find_job(const Invocation *invocation, JobSpec *ret) {
        const char *id = invocation_option(invocation, "id");
        Problem problem = { 0 };

        int r = gitlab_job_read(invocation->settings->runtime_dir, id, ret, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        log_verbose("This is job %s%s", ret->id, id ? ", as --id says" : "");
        return 0;
}

uint64_t keep_failed_usec(const Settings *settings) {
        const char *text = getenv(LOCAL_KEEP_VARIABLE);
        uint64_t usec;

        if (!getenv(LOCAL_OWNER_VARIABLE))
                return settings->keep_failed_usec;
        return text && parse_uint64(text, &usec) >= 0 ? usec : 0;
}

static const char *last_lines(const char *text, unsigned lines) {
        const char *p = text + strlen(text);

        while (p > text && p[-1] == '\n')
                p--;
        while (p > text && (p[-1] != '\n' || --lines > 0))
                p--;
        return p;
}

void log_end_of_machine(const MachineDirectory *directory) {
        machine_file_wait(directory, MACHINE_FILE_ENDED, ENDED_TIMEOUT_USEC);

        _cleanup_free_ char *ended = machine_file_read(directory, MACHINE_FILE_ENDED);
        _cleanup_free_ char *console = machine_file_read(directory, MACHINE_FILE_CONSOLE);

        if (ended)
                log_notice("The container ended: %s", ended);
        if (console) {
                char *state = NULL;

                log_notice("The last lines of its console:");
                for (char *line = strtok_r((char *) last_lines(console, CONSOLE_LINES), "\n", &state); line;
                     line = strtok_r(NULL, "\n", &state))
                        log_notice("  %s", line);
        }
}
