/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `job-diff`: shows what a job that runs, or was kept after it failed, has changed against its image. Only reads. What
 * is mounted in the container, such as caches, is not part of that. */

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/differences.h"
#include "cli/find-machine.h"
#include "image/generation.h"
#include "machine/directory.h"
#include "machine/inside.h"

/* Each container gets its own. */
static bool is_ours(const char *path) {
        static const char *const names[] = { "etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(path, names[i]))
                        return true;
        return false;
}

static int print(const Machine *machine, bool json) {
        _cleanup_machine_inside_ MachineInside inside = MACHINE_INSIDE_NONE;

        _cleanup_close_ int image_fd = generation_hold_tree(machine->image_path, machine->generation,
                                                            machine->image_handle);
        if (image_fd < 0)
                return log_error_errno(image_fd, "Cannot open the image of job %s, '%s': %m", machine->id,
                                       machine->image_path);
        int r = machine_inside_open(machine, &inside);
        if (r == -ESRCH)
                return log_not_running(machine->id, r);
        if (r < 0)
                return log_error_errno(r, "Cannot open the root of job %s: %m", machine->id);
        const DifferencesRequest request = {
                .old_fd = image_fd,
                .new_fd = inside.root_fd,
                .old_name = machine->image,
                .new_name = machine->id,
                .new_owner_base = inside.owner_base,
                .files = true,
                .json = json,
                .is_ours = is_ours,
        };
        r = differences_print_logged(&request);
        if (r == 0 && !json)
                log_notice("Job %s has changed nothing in its image '%s'", machine->id, machine->image);
        return r < 0 ? r : 0;
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        int r = open_machine_logged(invocation, invocation_argument(invocation, 1), &directory, &machine);
        return r < 0 ? r : print(machine, invocation_has(invocation, "json"));
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_job_diff = {
        .name = "job-diff",
        .synopsis = "ID [SERVICE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Show what a job has changed against its image",
};
