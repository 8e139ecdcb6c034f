/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Parses a duration as GitLab writes it: "3h 30m", "1 week", "2 hrs 20 min", "42" (seconds). 0, or -EINVAL: @text is
 * none. */
int duration_parse(const char *text, uint64_t *ret_seconds);
