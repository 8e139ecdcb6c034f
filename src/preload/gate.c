/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A part of the library that is loaded into systemd-nspawn (LD_PRELOAD). By the time that this runs, all libraries are
 * loaded, and systemd-nspawn itself has not begun: it waits until `supervise` has made the root of the container. Without
 * GATE_VARIABLE, all is as without this. */

#include "preload/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void wait_for_go(void) {
        const char *text = getenv(GATE_VARIABLE);
        char answer = 0;
        ssize_t n;

        if (!text)
                return;
        int fd = (int) strtol(text, NULL, 10);
        while ((n = read(fd, &answer, 1)) < 0 && errno == EINTR)
                ;
        /* `supervise` has ended or gives up, and says why. */
        if (n != 1)
                _exit(EXIT_FAILURE);
        close(fd);
        unsetenv(GATE_VARIABLE);
        if (answer == GATE_UNIFIED)
                setenv(GATE_UNIFIED_VARIABLE, "1", 1);
}
