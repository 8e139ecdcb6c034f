/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `supervise`: the process that keeps a job's container. A supervisor (container/) starts it, nobody by hand.
 * It reads the plan and not the configuration, which may have changed since. What goes wrong is also written to the
 * job's directory, because nobody may read its stderr. */

#include "machine/supervise.h"

#include <fcntl.h>
#include <stdio.h>
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
        if (null_fd < 0 || fd_move_to(null_fd, STDIN_FILENO) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

/* What a kernel or a file system lacks, for those errors that say no more than that something is lacking. */
static const char *explain(int error) {
        switch (error) {
        case -ENOSYS:
                return " (this kernel is too old, or a sandbox forbids the call: mounts that map users, "
                       "mount_setattr(2), need Linux 5.12; or set 'private_users: no'; see 'nspawn-runner doctor')";
        case -EOPNOTSUPP:
                return " (the file system of the image cannot be mounted with mapped users, \"idmap\": use another "
                       "file system, or 'private_users: no'; see 'nspawn-runner doctor')";
        case -ENODEV:
                return " (this kernel has no overlayfs; see 'nspawn-runner doctor')";
        default:
                return "";
        }
}

/* Nobody reads our stderr on hosts without a journal: what went wrong is left for `prepare` too. @problem says it, or is
 * NULL. */
static int fail(const MachineDirectory *directory, int error, const char *what, const char *problem) {
        char text[1024];

        if (problem)
                snprintf(text, sizeof(text), "%s", problem);
        else
                snprintf(text, sizeof(text), "cannot %s: %s%s", what, strerror(-error), explain(error));
        (void) machine_file_write(directory, MACHINE_FILE_ENDED, text);
        log_error("%s", text);
        return error;
}

static int run(const Invocation *invocation) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_free_ char *problem = NULL;
        const char *path = invocation_argument(invocation, 0);
        const char *what = "load the container's plan";

        directory.fd = open_directory_at(AT_FDCWD, path, false, 0);
        if (directory.fd < 0)
                return log_error_errno(directory.fd, "Cannot open the job's directory '%s': %m", path);
        directory.path = strdup(path);
        if (!directory.path)
                return log_oom();
        int listen_fd = take_socket();
        if (listen_fd < 0)
                return fail(&directory, listen_fd, "take the agent's socket", NULL);

        int r = machine_load(&directory, &machine);
        if (r < 0) {
                close(listen_fd);
                return fail(&directory, r, what, NULL);
        }
        r = supervise(machine, &directory, listen_fd, &what, &problem);
        return r < 0 ? fail(&directory, r, what, problem) : r;
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
