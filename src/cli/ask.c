/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Asks yes or no on the terminal, for chroot-login and chroot-remove. Callers make sure that there is a terminal. An
 * answer that never comes, or a signal, is a "no". */

#include "cli/ask.h"

#include <ctype.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/fd.h"

bool ask_yes_or_no(const char *question, bool by_default, int signal_fd, int *ret_signal) {
        struct pollfd pollfds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
        char first = 0;

        (void) fd_write_all(STDERR_FILENO, question, strlen(question));
        for (;;) {
                struct signalfd_siginfo info;
                char c;

                if (poll(pollfds, ELEMENTSOF(pollfds), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return false;
                }
                if (pollfds[1].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
                        *ret_signal = (int) info.ssi_signo;
                        (void) fd_write_all(STDERR_FILENO, "\n", 1);
                        return false;
                }
                if (!pollfds[0].revents)
                        continue;
                if (read(STDIN_FILENO, &c, 1) <= 0)
                        return false;
                if (c != '\n') {
                        if (!first && c != ' ')
                                first = (char) tolower((unsigned char) c);
                        continue;
                }
                if (!first || first == 'y' || first == 'n')
                        return first ? first == 'y' : by_default;
                first = 0;
                (void) fd_write_all(STDERR_FILENO, question, strlen(question));
        }
}
