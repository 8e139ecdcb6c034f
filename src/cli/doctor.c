/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `doctor`: has all checks made and says whether jobs can run. It also runs when the configuration cannot be
 * used, because it must say why. */

#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "doctor/check.h"

static int run(const Invocation *invocation) {
        unsigned n_missing;

        if (invocation_has(invocation, "json")) {
                int r = doctor_check_json(invocation, &n_missing);
                return r < 0 ? r : n_missing > 0;
        }
        n_missing = doctor_check(invocation, false);

        if (geteuid() != 0)
                puts("\nWithout root, little of this can be tried: ask again as root, with 'sudo nspawn-runner doctor'.");
        else if (n_missing == 0)
                puts("\nJobs can run on this host.");
        else
                printf("\nJobs cannot run on this host: %u thing%s missing.\n", n_missing,
                       n_missing == 1 ? " is" : "s are");
        return n_missing > 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_doctor = {
        .name = "doctor",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Check whether this host can run jobs",
};
