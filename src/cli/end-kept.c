/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `end-kept`: the process that removes the container of a failed job when it has been kept long enough, and
 * meanwhile measures what the container has written, because its programs may go on.
 * `cleanup` starts it, detached, one for each job. Nobody sees its messages or waits for it. It may be killed at any
 * time: then the next `prepare` or `gc` removes the container when its time is over. */

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "cli/commands.h"
#include "machine/collect.h"
#include "machine/kept.h"
#include "machine/remove.h"

/* How often to measure; less often if that takes more than a hundredth of the time. */
#define MEASURE_EVERY_USEC (60 * USEC_PER_SEC)
#define MEASURE_SHARE 100
/* How often to look whether a container without an agent still runs: soon at first, as most end with theirs. */
#define AGAIN_USEC USEC_PER_MSEC
#define AGAIN_MAX_USEC USEC_PER_SEC

/* Until when to wait before it is measured again. */
static uint64_t measure_and_limit(const Settings *settings, const char *id) {
        uint64_t begin_usec = clock_now_usec();

        (void) kept_measure(settings, id);
        (void) kept_limit(settings);
        process_release_pages();
        return clock_deadline(MAX(MEASURE_EVERY_USEC, (clock_now_usec() - begin_usec) * MEASURE_SHARE));
}

/* Root of the container may kill the agent, whose end looks like that of the container: then its time goes on all the
 * same. */
static int wait_for_end(const Settings *settings, const char *id) {
        for (;;) {
                uint64_t deadline = measure_and_limit(settings, id);

                int r = kept_wait(settings, id, deadline);
                if (r == -ETIME)
                        continue;
                if (r < 0)
                        return r;
                for (uint64_t wait_usec = AGAIN_USEC; clock_now_usec() < deadline;
                     wait_usec = MIN(wait_usec * 2, AGAIN_MAX_USEC)) {
                        MachineState state = machine_state(settings, id);

                        if (state != MACHINE_KEPT && state != MACHINE_BUSY)
                                return 0;
                        clock_sleep_usec(wait_usec);
                }
        }
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *id = invocation_argument(invocation, 0);

        process_step_back();
        int r = wait_for_end(settings, id);
        if (r < 0)
                return log_error_errno(r, "Cannot wait for the end of job %s, which is kept: %m", id);
        /* This finds out what became of the container meanwhile: by now, another one may have its name. */
        r = machine_collect(settings, false, NULL);
        if (r < 0)
                return log_error_errno(r, "Cannot remove job %s, which was kept: %m", id);
        machine_empty_trash_behind(settings->root_dir);
        return 0;
}

const Command command_end_kept = {
        .name = "end-kept",
        .synopsis = "ID",
        .min_arguments = 1,
        .max_arguments = 1,
        .flags = COMMAND_HIDDEN,
        .run = run,
        .help = "Remove a failed job when it was kept long enough (internal)",
};
