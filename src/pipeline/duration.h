/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Durations as GitLab writes them: "3h 30m", "1 week", "2 hrs 20 min", "42" (seconds). 0, or -EINVAL. */
int duration_parse(const char *text, uint64_t *ret_seconds);
