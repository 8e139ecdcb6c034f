/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/log.h"

/* The console of a container, on which the job can print any amount. Its end is kept in the job's directory, and
 * everything is passed on to @forward_fd (the journal; negative: nowhere). */
typedef struct Console {
        const MachineDirectory *directory;
        int forward_fd;
        MachineLog *log; /* gets all of it, within its limits; NULL: there is none */
        size_t size;
        char tail[16 * 1024];
} Console;

/* Reads some of what is there from the non-blocking @fd. 1: there may be more; 0: end of file; or -errno. */
int console_read(Console *console, int fd);
/* Writes the tail to console.log. */
void console_save(const Console *console);
