/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Terminals, ours and those of containers, for steps that somebody types to. step.c calls this. Ours must be as it
 * was when the step has ended, however that came; a descriptor of the container's is only used after
 * terminal_check_master(). */

#include "machine/terminal.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* /dev/ptmx: see devices.txt in the kernel's documentation. */
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

int terminal_begin(int fd, Terminal *ret) {
        struct termios before, raw;

        if (tcgetattr(fd, &before) < 0)
                return -errno;
        raw = before;
        cfmakeraw(&raw);
        if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
                return -errno;
        *ret = (Terminal){ .fd = fd, .before = before };
        return 0;
}

void terminal_end(Terminal *terminal) {
        if (terminal->fd >= 0)
                (void) tcsetattr(terminal->fd, TCSADRAIN, &terminal->before);
        *terminal = TERMINAL_NONE;
}

void terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns) {
        struct winsize size = { 0 };

        (void) ioctl(fd, TIOCGWINSZ, &size);
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;
}

void terminal_copy_size(int from, int to) {
        struct winsize size;

        if (ioctl(from, TIOCGWINSZ, &size) >= 0)
                (void) ioctl(to, TIOCSWINSZ, &size);
}

int terminal_check_master(int fd) {
        unsigned number;
        struct stat st;

        return fstat(fd, &st) >= 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR) &&
                               ioctl(fd, TIOCGPTN, &number) >= 0 ?
                       0 :
                       -EBADMSG;
}
