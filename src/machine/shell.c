/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs a shell for a person in a machine: on a terminal of the container, or with pipes where ours is none. Called by
 * `shell`, `exec-step`, chroot-login and chroot-run. What the person sees and types goes nowhere else. */

#include "machine/shell.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/channel.h"

/* From SIGTERM to SIGKILL, when we are told to end */
#define STOP_TIMEOUT_USEC USEC_PER_SEC

bool shell_has_terminal(void) {
        return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int shell_environment(char *const *base, bool terminal, char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        const char *kind = getenv("TERM");

        int r = strv_copy(base, &environment);
        if (r < 0)
                return r;
        r = strv_extend(&environment, "HISTFILE=/dev/null");
        if (r < 0)
                return r;
        if (terminal) {
                r = strv_extendf(&environment, "TERM=%s", isempty(kind) ? "vt220" : kind);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(environment);
        return 0;
}

int machine_shell(const Machine *machine, const MachineDirectory *directory, const char *user, StepOutcome *ret) {
        _cleanup_strv_ char **environment = NULL;
        StepRequest request = STEP_REQUEST_PLAIN;

        request.terminal = shell_has_terminal();
        int r = shell_environment(machine->environment, request.terminal, &environment);
        if (r < 0)
                return r;
        request.argv = ARGV(""); /* bash if there is one */
        request.environment = environment;
        request.user = user ? user : machine->user;
        request.stdin_fd = STDIN_FILENO;
        request.with_variables = true;
        request.kill_timeout_usec = STOP_TIMEOUT_USEC;
        request.machine = directory->path;
        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        return socket_fd < 0 ? socket_fd : step_run(socket_fd, &request, ret);
}
