/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Parses a duration as Go writes it, and GitLab Runner in its variables: "1h20m", "1.5s", "500ms", "0"; nothing is without a
 * unit but 0. 0 with *ret_usec; or -EINVAL: @text is none, or below zero. */
int go_duration_parse(const char *text, uint64_t *ret_usec);
