/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Pseudo-terminals of the container, for steps that a person at a terminal of the host uses. step.c calls this. The
 * agent must keep neither end open: when the host's end is closed, however the host's command ended, the kernel hangs
 * up on the step. */

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/fd.h"

int terminal_open(const Account *account, uint16_t rows, uint16_t columns, int ret[static 2]) {
        struct winsize size = { .ws_row = rows, .ws_col = columns };
        int locked = 0;

        _cleanup_close_ int master_fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (master_fd < 0 || ioctl(master_fd, TIOCSPTLCK, &locked) < 0 || ioctl(master_fd, TIOCSWINSZ, &size) < 0)
                return -errno;
        /* Not opened by a path, which might lead elsewhere. */
        _cleanup_close_ int slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave_fd < 0)
                return -errno;
        /* As login(1) does it. */
        if (account->uid != 0 && fchown(slave_fd, account->uid, (gid_t) -1) < 0)
                return -errno;
        ret[0] = TAKE_FD(slave_fd);
        ret[1] = TAKE_FD(master_fd);
        return 0;
}
