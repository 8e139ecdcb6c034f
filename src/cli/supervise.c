/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `supervise`: the process that keeps a job's container. A supervisor (container/) starts it, nobody by hand.
 * It must not read the configuration, which may have changed since the plan was made. What goes wrong is also written
 * to the job's directory, because nobody may read its stderr. */

#include "machine/supervise.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/commands.h"

/* The socket comes as standard input: the one descriptor that a transient unit can be given. */
static int take_socket(void) {
        int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
        if (fd < 0)
                return -errno;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int r = null_fd < 0 ? -errno : fd_move_to(null_fd, STDIN_FILENO);
        if (r < 0) {
                close(fd);
                return r;
        }
        return fd;
}

/* Nobody reads our stderr on hosts without a journal: what went wrong is left for `prepare` too. */
static int fail(const MachineDirectory *directory, int error, const Problem *problem) {
        (void) machine_file_write(directory, MACHINE_FILE_ENDED, problem_text(problem, error));
        return log_problem(error, problem);
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        const char *path = invocation_argument(invocation, 0);
        Problem problem = { 0 };

        directory.fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (directory.fd < 0)
                return log_error_errno(directory.fd, "Cannot open the job's directory '%s': %m", path);
        directory.path = strdup(path);
        if (!directory.path)
                return log_oom();
        int listen_fd = take_socket();
        if (listen_fd < 0) {
                (void) problem_set(&problem, listen_fd, "cannot take the agent's socket: %m");
                return fail(&directory, listen_fd, &problem);
        }

        int r = machine_load(&directory, &machine);
        if (r < 0) {
                close(listen_fd);
                (void) problem_set(&problem, r, "cannot load the container's plan: %m");
                return fail(&directory, r, &problem);
        }
        r = supervise(machine, &directory, listen_fd, &problem);
        return r < 0 ? fail(&directory, r, &problem) : r;
}

const Command command_supervise = {
        .name = "supervise",
        .synopsis = "DIRECTORY",
        .min_arguments = 1,
        .max_arguments = 1,
        .flags = COMMAND_HIDDEN | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Keep a job's container running (internal)",
};
