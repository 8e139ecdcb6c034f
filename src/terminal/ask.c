/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Asks on the terminal: yes or no for chroot-login, chroot-remove and prune, a secret for setup. Callers make sure that
 * there is a terminal. An answer that never comes, or a signal, is a "no", and no secret. */

#include "terminal/ask.h"

#include <ctype.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

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
                if (read(STDIN_FILENO, &c, 1) <= 0) {
                        (void) fd_write_all(STDERR_FILENO, "\n", 1);
                        return false;
                }
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

/* Byte by byte: what follows the line is for other readers. */
static int read_line(int signal_fd, char *ret, size_t size, int *ret_signal) {
        struct pollfd pollfds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
        struct signalfd_siginfo info;
        size_t n = 0;

        for (;;) {
                if (poll(pollfds, ELEMENTSOF(pollfds), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (pollfds[1].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
                        *ret_signal = (int) info.ssi_signo;
                        return -EINTR;
                }
                if (!pollfds[0].revents)
                        continue;
                ssize_t got = read(STDIN_FILENO, ret + n, 1);
                if (got <= 0)
                        return got < 0 ? -errno : -ENODATA;
                if (ret[n] == '\n') {
                        ret[n] = 0;
                        return 0;
                }
                if (++n == size)
                        return -E2BIG;
        }
}

int ask_secret(const char *question, int signal_fd, char *ret, size_t size, int *ret_signal) {
        struct termios before, silent;

        if (tcgetattr(STDIN_FILENO, &before) < 0)
                return -errno;
        silent = before;
        silent.c_lflag &= ~(tcflag_t) (ECHO | ECHOE | ECHOK | ECHONL);
        silent.c_lflag |= ICANON | ISIG;
        /* What was typed before the question is no answer, and is thrown away. What is typed from then on is one: so the
         * terminal is silent before the question is shown. */
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
                return -errno;
        (void) fd_write_all(STDERR_FILENO, question, strlen(question));
        int r = read_line(signal_fd, ret, size, ret_signal);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &before);
        (void) fd_write_all(STDERR_FILENO, "\n", 1);
        if (r < 0)
                explicit_bzero(ret, size);
        return r;
}
