/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An agent that the image's systemd started waits here, while another agent from before that systemd serves the
 * socket, for the end of that one. main.c calls this; init.c says which process the other is. It must not wait for a
 * new process with the same number: the start time is compared with a pidfd in hand. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "agent/init.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

uint64_t standby_start_time(const Surroundings *surroundings, pid_t pid) {
        char path[64], text[1024];
        uint64_t start;

        snprintf(path, sizeof(path), "%d/stat", (int) pid);
        _cleanup_close_ int fd = surroundings_open_proc(surroundings, path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return 0;
        text[n] = 0;
        return process_parse_start(text, &start) ? start : 0;
}

void standby_wait(const char *pid, const char *start) {
        Surroundings surroundings;
        uint64_t number, since;

        if (parse_uint64(pid, &number) < 0 || number == 0 || number > INT32_MAX || parse_uint64(start, &since) < 0)
                return;
        struct pollfd pollfd = { .fd = (int) syscall(SYS_pidfd_open, (pid_t) number, 0), .events = POLLIN };
        if (pollfd.fd < 0)
                return;
        surroundings_open(&surroundings);
        /* With the descriptor in hand: whose it is cannot change any more. */
        if (since != 0 && standby_start_time(&surroundings, (pid_t) number) == since)
                while (poll(&pollfd, 1, -1) < 0 && errno == EINTR)
                        ;
        surroundings_done(&surroundings);
        close(pollfd.fd);
}
