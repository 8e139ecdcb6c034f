/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is printed to fit the window of a terminal: help, and what `doctor` finds; tables ask for the width. Programs that read
 * a pipe get one line for each thing: nothing here may break a line then. */

#include "terminal/window.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/string.h"

/* Narrower text would be harder to read than what the terminal makes of long lines. */
#define TEXT_WIDTH_MIN ((size_t) 24)

size_t window_width(int fd) {
        const char *text = getenv("COLUMNS");
        struct winsize size;
        uint64_t columns;

        if (!isatty(fd))
                return SIZE_MAX;
        if (ioctl(fd, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
                return size.ws_col;
        return text && parse_uint64(text, &columns) >= 0 && columns > 0 && columns < SIZE_MAX ? (size_t) columns : 80;
}

static size_t width_of(const char *word, size_t bytes) {
        size_t width = 0;

        for (size_t i = 0; i < bytes; i++)
                width += ((unsigned char) word[i] & 0xc0) != 0x80;
        return width;
}

void window_print(FILE *stream, size_t width, size_t column, size_t indent, const char *text) {
        bool breaks = width != SIZE_MAX && width >= indent + TEXT_WIDTH_MIN, begins = true;

        for (const char *word = text; *word; word += *word == ' ') {
                size_t bytes = strcspn(word, " "), columns = width_of(word, bytes);

                if (breaks && column > indent && column + !begins + columns > width) {
                        fprintf(stream, "\n%*s", (int) indent, "");
                        column = indent;
                        begins = true;
                }
                fprintf(stream, "%s%.*s", begins ? "" : " ", (int) bytes, word);
                column += !begins + columns;
                begins = false;
                word += bytes;
        }
        fputc('\n', stream);
}
