/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Chooses who keeps a container running on this host: its systemd, or nobody (detached.c). Called when a container is
 * planned, stopped or looked for. Starts nothing, and asks only whether systemd is PID 1: the answer must be the same
 * for every command until the host's next boot. */

#include "container/supervisor.h"

#include <sys/stat.h>

bool host_is_systemd(void) {
        struct stat st;

        return lstat("/run/systemd/system", &st) >= 0 && S_ISDIR(st.st_mode);
}

const Supervisor *supervisor_pick(void) {
        return supervisor_systemd.usable() ? &supervisor_systemd : &supervisor_detached;
}
