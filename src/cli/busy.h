/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* For work without steps to report: from its second second on, a line on the terminal says what is being done and for
 * how long. Messages are printed above it. Nothing is shown without a terminal, or with --quiet. */

/* Begins to show @what, such as "Measuring", which must live until busy_end(). Only one at a time. */
void busy_begin(const char *what);

/* Removes the line; does nothing without busy_begin(). */
void busy_end(void);

static inline void busy_endp(_unused_ const char **what) {
        busy_end();
}

/* Until the end of the block. */
#define BUSY(what) _cleanup_(busy_endp) const char *_busy = (busy_begin(what), (what))
