/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `machine-exec`, which our connection plugin of ansible calls as others call chroot(8): its first argument, the
 * directory, stands for the container that the environment names. Ansible starts it for every task, under another
 * name of our program, which is turned into the command here. It must print nothing of its own where it works: what
 * it says ends up in the task's messages. */

#include "cli/machine-exec.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "container/channel.h"
#include "machine/directory.h"
#include "machine/step.h"
#include "maintain/connection.h"

/* The same as ssh(1)'s: we failed, not the command. */
#define STATUS_NO_CONNECTION 255
#define STATUS_CANNOT_EXECUTE 126

static int open_machine(Machine **ret_machine) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        const char *path = getenv(CONNECTION_VARIABLE);

        if (!path)
                return -ENODATA;
        directory.path = strdup(path);
        directory.fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (!directory.path || directory.fd < 0)
                return directory.path ? directory.fd : -ENOMEM;
        int r = machine_load(&directory, ret_machine);
        return r < 0 ? r : channel_connect(path);
}

static int report(const StepOutcome *outcome) {
        int status = step_exit_status(outcome);
        if (status >= 0)
                return status;
        if (outcome->result == STEP_MACHINE_GONE) {
                log_error("The container of the image has ended");
                return STATUS_NO_CONNECTION;
        }
        log_error("The command cannot be started in the image: %s", strerror(outcome->error));
        return STATUS_CANNOT_EXECUTE;
}

char **machine_exec_expand_name(int *argc, char **argv) {
        const char *slash = *argc > 0 ? strrchr(argv[0], '/') : NULL;

        if (!slash || !streq(slash + 1, CONNECTION_PROGRAM))
                return argv;
        char **expanded = calloc((size_t) *argc + 3, sizeof(char *));
        if (!expanded)
                return NULL;
        memcpy(expanded, ARGV(argv[0], command_machine_exec.name, "--"), 3 * sizeof(char *));
        memcpy(expanded + 3, argv + 1, ((size_t) *argc - 1) * sizeof(char *));
        *argc += 2;
        return expanded;
}

static int run(const Invocation *invocation) {
        _cleanup_machine_ Machine *machine = NULL;
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        _cleanup_close_ int socket_fd = open_machine(&machine);
        if (socket_fd < 0) {
                log_error_errno(socket_fd, "Cannot reach the container of the image: %m");
                return STATUS_NO_CONNECTION;
        }
        /* The image's user is only for jobs: ansible works as root. */
        request.argv = invocation->arguments + 1;
        request.environment = machine->environment;
        request.stdin_fd = STDIN_FILENO;
        request.kill_timeout_usec = machine->settings.kill_timeout_usec;
        request.machine = machine->directory;
        int r = step_run(socket_fd, &request, &outcome);
        if (r < 0) {
                log_error_errno(r, "Cannot talk to the agent in the image: %m");
                return STATUS_NO_CONNECTION;
        }
        return report(&outcome);
}

const Command command_machine_exec = {
        .name = "machine-exec",
        .synopsis = "ROOT COMMAND [ARGUMENT...]",
        .min_arguments = 2,
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .flags = COMMAND_HIDDEN | COMMAND_STATUS | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Run a command for ansible in the container of an image",
};
