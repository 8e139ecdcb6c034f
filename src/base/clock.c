/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Clocks, deadlines and sleeping, for host programs and the agent. Waits are measured on the monotonic clock only.
 * The wall clock can be set at any moment, so it is only for times that people or files are told. */

#include "base/clock.h"

#include <limits.h>
#include <time.h>

static uint64_t clock_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

uint64_t clock_now_usec(void) {
        return clock_usec(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_usec(void) {
        return clock_usec(CLOCK_REALTIME);
}

uint64_t clock_deadline(uint64_t timeout_usec) {
        uint64_t now = clock_now_usec();
        return timeout_usec > USEC_INFINITY - now ? USEC_INFINITY : now + timeout_usec;
}

int clock_poll_timeout(uint64_t deadline) {
        if (deadline == USEC_INFINITY)
                return -1;

        uint64_t now = clock_now_usec();
        if (deadline <= now)
                return 0;
        uint64_t msec = (deadline - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        return msec > INT_MAX ? INT_MAX : (int) msec;
}

void clock_sleep_usec(uint64_t usec) {
        struct timespec ts = { .tv_sec = (time_t) (usec / USEC_PER_SEC),
                               .tv_nsec = (long) (usec % USEC_PER_SEC * NSEC_PER_USEC) };

        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}
