/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The slots of jobs that run at the same time. run.c takes one before it starts a job, and gives it back afterwards. Nothing
 * here may wait: run.c polls the descriptor. */

#include "exec/slots.h"

#include <sys/eventfd.h>

int slots_make(unsigned n) {
        int fd = eventfd(n - 1, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

bool slots_take(int fd, size_t n_running) {
        eventfd_t one;

        return n_running == 0 || eventfd_read(fd, &one) == 0;
}

void slots_give_back(int fd, size_t n, size_t n_left) {
        size_t n_free = MAX(n, (size_t) 1) - MAX(n_left, (size_t) 1);

        if (n_free > 0)
                (void) eventfd_write(fd, n_free);
}
