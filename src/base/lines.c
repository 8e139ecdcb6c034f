/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Cuts the output of a program into lines for whoever shows them: programs that run in a sandbox (source/sandbox.c),
 * steps in containers (machine/stream.c) and chroot-maintenance. The output is not trusted: it is held in a fixed
 * buffer, however long a line gets, and what is in a line is for the caller to judge. */

#include "base/lines.h"

void lines_end(Lines *lines) {
        if (lines->length == 0)
                return;
        lines->text[lines->length] = 0;
        lines->length = 0;
        if (lines->on_line)
                lines->on_line(lines->userdata, lines->text);
}

void lines_feed(Lines *lines, const char *data, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (data[i] == '\n' || data[i] == '\r') {
                        lines_end(lines);
                } else {
                        lines->text[lines->length++] = data[i];
                        if (lines->length == sizeof(lines->text) - 1)
                                lines_end(lines);
                }
}
