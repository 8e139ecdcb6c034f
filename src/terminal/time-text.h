/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

#define TIME_TEXT_BYTES 32

/* A wall clock time: ISO 8601 for programs (@json); people know their time zone. */
const char *time_text(uint64_t usec, bool json, char ret[static TIME_TEXT_BYTES]);

/* A length of time for people: "45s", "12m", "3h 5m", "2d 4h". */
const char *duration_text(uint64_t usec, char ret[static TIME_TEXT_BYTES]);
