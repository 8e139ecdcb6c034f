/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

#define SHOWN_LINE_BYTES_MAX 4096

/* What others have printed, for somebody who looks at it. A terminal gets only text and colours; everything else, such as a
 * pipe, gets the bytes as they are. */
typedef struct Shown {
        int fd;
        bool terminal;
        size_t size; /* of a line that has not ended */
        char line[SHOWN_LINE_BYTES_MAX + 1];
} Shown;

/* @fd stays the caller's. */
void shown_begin(Shown *shown, int fd);
/* Shows whole lines, and keeps the beginning of the last one. 0 or -errno. */
int shown_write(Shown *shown, const char *data, size_t size);
/* Shows what was kept: when nothing more comes for a while, or at all. 0 or -errno. */
int shown_flush(Shown *shown);
