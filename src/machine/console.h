/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/log.h"

/* What a container prints on its console, which the job can fill as it likes: its end is kept in the job's directory,
 * everything is passed on to @forward_fd (the journal; negative: nowhere). */
typedef struct Console {
        const MachineDirectory *directory;
        int forward_fd;
        MachineLog *log; /* also all of it, as far as there is room; NULL: no */
        size_t size;
        char tail[16 * 1024];
} Console;

/* Reads from non-blocking @fd, not necessarily all that is there. 1: goes on; 0: end of file; or -errno. */
int console_read(Console *console, int fd);
/* Appends a message of our own. */
void console_note(Console *console, const char *text);
/* Writes the tail to console.log. */
void console_save(const Console *console);
