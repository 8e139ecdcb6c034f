/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* For work that has no steps to tell of: while it lasts, and from its second second on, a line on the terminal says what is
 * being done and for how long. Messages are printed above it. Not on a terminal, or with --quiet, nothing is shown. */

/* @what is such as "Measuring"; it must live until busy_end(). One at a time. */
void busy_begin(const char *what);

/* Takes the line off. Without busy_begin(): nothing. */
void busy_end(void);

static inline void busy_endp(_unused_ const char **what) {
        busy_end();
}

/* Until the end of the block. */
#define BUSY(what) _cleanup_(busy_endp) const char *_busy = (busy_begin(what), (what))
