/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows what jobs and images have printed. `logs` calls this. What is written to a terminal here can do nothing with it but
 * show text: no byte gets there except through print(). */

#include "terminal/shown.h"

#include <string.h>

#include "base/fd.h"
#include "terminal/ansi.h"

#define STYLE_END "\033[0m"

void shown_begin(Shown *shown, int fd) {
        shown->fd = fd;
        shown->terminal = isatty(fd);
        shown->size = 0;
}

/* Prints the line, with @end behind it. */
static int print(Shown *shown, const char *end) {
        char text[SHOWN_LINE_BYTES_MAX + sizeof(STYLE_END) + 1], *p = text;
        bool styled = false;
        AnsiPart part;

        shown->line[shown->size] = 0;
        for (const char *line = ansi_begin(shown->line); ansi_next(&line, &part);) {
                p = mempcpy(p, part.text, part.size);
                styled = styled || part.is_style;
        }
        p = stpcpy(p, styled ? STYLE_END : "");
        p = stpcpy(p, end);
        shown->size = 0;
        return fd_write_all(shown->fd, text, (size_t) (p - text));
}

int shown_write(Shown *shown, const char *data, size_t size) {
        if (!shown->terminal)
                return fd_write_all(shown->fd, data, size);
        for (size_t i = 0; i < size; i++) {
                bool ended = data[i] == '\n';
                int r = ended ? print(shown, "\n") : shown->size == SHOWN_LINE_BYTES_MAX ? print(shown, "") : 0;
                if (r < 0)
                        return r;
                if (!ended && data[i]) /* a NUL would end the line */
                        shown->line[shown->size++] = data[i];
        }
        return 0;
}

int shown_flush(Shown *shown) {
        return shown->size > 0 ? print(shown, "") : 0;
}
