/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps the end of what a container prints on its console, and passes it on to the journal. `supervise` calls this. A
 * job can print without end: one call reads a limited part, and memory and file stay small. */

#include "machine/console.h"

#include <string.h>

#include "base/fd.h"

/* How many pieces are read at a time: a job can fill the pipe for ever, and signals and the time limit must get their
 * turn. */
#define ROUNDS 16

static void append(Console *console, const char *data, size_t size) {
        if (console->forward_fd >= 0)
                (void) fd_write_all(console->forward_fd, data, size);
        if (console->log)
                machine_log_append(console->log, data, size);
        if (size > sizeof(console->tail)) {
                data += size - sizeof(console->tail);
                size = sizeof(console->tail);
        }
        if (console->size + size > sizeof(console->tail)) {
                size_t drop = console->size + size - sizeof(console->tail);

                memmove(console->tail, console->tail + drop, console->size - drop);
                console->size -= drop;
        }
        memcpy(console->tail + console->size, data, size);
        console->size += size;
}

int console_read(Console *console, int fd) {
        char buffer[4096];

        for (unsigned i = 0; i < ROUNDS; i++) {
                ssize_t n = read(fd, buffer, sizeof(buffer));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 1 : -errno;
                if (n == 0)
                        return 0;
                append(console, buffer, (size_t) n);
        }
        return 1;
}

void console_save(const Console *console) {
        if (console->size > 0)
                (void) file_replace_unsynced_at(console->directory->fd, MACHINE_FILE_CONSOLE, console->tail,
                                                console->size, 0600);
}
