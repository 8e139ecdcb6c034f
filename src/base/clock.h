/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Monotonic time, in microseconds. */
uint64_t clock_now_usec(void);
/* Wall clock, in microseconds since 1970. */
uint64_t clock_realtime_usec(void);

/* The monotonic instant @timeout_usec from now; USEC_INFINITY stays so. */
uint64_t clock_deadline(uint64_t timeout_usec);

/* What is left until @deadline as poll(2) takes it: milliseconds rounded up, 0 when past, -1 for USEC_INFINITY. */
int clock_poll_timeout(uint64_t deadline);

/* Sleeps for all of that time, also when signals come. */
void clock_sleep_usec(uint64_t usec);
