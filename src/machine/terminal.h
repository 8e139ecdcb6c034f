/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <termios.h>

#include "base/macro.h"

/* The administrator's terminal while a step uses it. */
typedef struct Terminal {
        int fd;
        struct termios before;
} Terminal;

#define TERMINAL_NONE        \
        (Terminal) {         \
                .fd = -EBADF \
        }

/* Puts terminal @fd, the caller's, into raw mode: what is typed goes to the step as it is. 0 or -errno. */
int terminal_begin(int fd, Terminal *ret);
/* Restores the terminal; does nothing if terminal_begin() failed. */
void terminal_end(Terminal *terminal);
#define _cleanup_terminal_ _cleanup_(terminal_end)

/* The size of terminal @fd; 0 and 0: it has none. */
void terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns);
/* Gives terminal @to the size of @from; if it changes, the kernel tells the programs on it. Best effort. */
void terminal_copy_size(int from, int to);

/* Checks that @fd, which comes from a hostile container, is the master of a pseudo-terminal and can do no harm. 0 or
 * -EBADMSG. */
int terminal_check_master(int fd);
