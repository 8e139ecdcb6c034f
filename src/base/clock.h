/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Monotonic time, in microseconds. */
uint64_t clock_now_usec(void);
/* Wall clock, in microseconds since 1970. */
uint64_t clock_realtime_usec(void);

/* The monotonic time @timeout_usec from now; USEC_INFINITY for USEC_INFINITY, which as a deadline means that there is none. */
uint64_t clock_deadline(uint64_t timeout_usec);

/* The time until @deadline for poll(2): milliseconds rounded up; 0: it is past; -1 for USEC_INFINITY. */
int clock_poll_timeout(uint64_t deadline);

/* Sleeps all of that time, even if signals come. */
void clock_sleep_usec(uint64_t usec);
