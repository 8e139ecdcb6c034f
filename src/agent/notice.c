/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How PID 1 and its relay tell the agent what became of the image's systemd, which the agent tells the host: init.c
 * and relay.c write, server.c reads. Neither end may ever wait for the other. */

#include <fcntl.h>

#include "agent/init.h"
#include "base/fd.h"

int notice_pipe(int ret[static 2]) {
        return pipe2(ret, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

void notice_send(int notice_fd, WireNoticeKind kind, int detail) {
        WireNotice notice = { .kind = kind, .detail = detail };

        /* All of it or nothing: it is smaller than PIPE_BUF. */
        (void) write(notice_fd, &notice, sizeof(notice));
}

int notice_receive(int notice_fd, WireNotice *ret) {
        ssize_t n = read(notice_fd, ret, sizeof(*ret));

        if (n == 0)
                return -EPIPE;
        return n == (ssize_t) sizeof(*ret);
}
