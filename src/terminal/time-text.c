/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes times as people or programs read them, for the commands that show some. It must not ask what time it is. */

#include "terminal/time-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *time_text(uint64_t usec, bool json, char ret[static TIME_TEXT_BYTES]) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        if (json)
                strftime(ret, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
        else
                strftime(ret, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &tm));
        return ret;
}

const char *duration_text(uint64_t usec, char ret[static TIME_TEXT_BYTES]) {
        uint64_t seconds = usec / USEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60;

        if (minutes == 0)
                snprintf(ret, TIME_TEXT_BYTES, "%" PRIu64 "s", seconds);
        else if (hours == 0)
                snprintf(ret, TIME_TEXT_BYTES, "%" PRIu64 "m", minutes);
        else if (hours < 48)
                snprintf(ret, TIME_TEXT_BYTES, "%" PRIu64 "h %" PRIu64 "m", hours, minutes % 60);
        else
                snprintf(ret, TIME_TEXT_BYTES, "%" PRIu64 "d %" PRIu64 "h", hours / 24, hours % 24);
        return ret;
}
