/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads durations of timeouts, delays and expiry. Called by the checks of keywords, and by local/job.c for a job's
 * timeout. A text that is not understood as a whole must be refused, never guessed at. */

#include "pipeline/duration.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define DAY UINT64_C(86400)

static const struct {
        const char *name;
        uint64_t seconds;
} units[] = {
        { "s", 1 },          { "sec", 1 },          { "secs", 1 },          { "second", 1 },      { "seconds", 1 },
        { "m", 60 },         { "min", 60 },         { "mins", 60 },         { "minute", 60 },     { "minutes", 60 },
        { "h", 3600 },       { "hr", 3600 },        { "hrs", 3600 },        { "hour", 3600 },     { "hours", 3600 },
        { "d", DAY },        { "dy", DAY },         { "day", DAY },         { "days", DAY },      { "w", 7 * DAY },
        { "wk", 7 * DAY },   { "wks", 7 * DAY },    { "week", 7 * DAY },    { "weeks", 7 * DAY }, { "mo", 30 * DAY },
        { "mos", 30 * DAY }, { "month", 30 * DAY }, { "months", 30 * DAY }, { "y", 31557600 },    { "yr", 31557600 },
        { "yrs", 31557600 }, { "year", 31557600 },  { "years", 31557600 },
};

/* Skips words between the parts, as in "1 hour and 5 minutes". */
static const char *skip_filler(const char *p) {
        for (;;) {
                const char *start = p;

                while (isspace((unsigned char) *p) || *p == ',')
                        p++;
                if (strncasecmp(p, "and", 3) == 0 && isspace((unsigned char) p[3]))
                        p += 3;
                if (p == start)
                        return p;
        }
}

/* Parses "1:30:05" and "4:30". The last number is seconds, the one before minutes, then hours. */
static int parse_clock(const char *p, uint64_t *ret_seconds) {
        uint64_t total = 0;

        for (unsigned parts = 0; parts < 3; parts++) {
                char *end;

                if (!isdigit((unsigned char) *p))
                        return -EINVAL;
                total = total * 60 + strtoul(p, &end, 10);
                if (*end == 0) {
                        *ret_seconds = total;
                        return parts > 0 ? 0 : -EINVAL;
                }
                if (*end != ':')
                        return -EINVAL;
                p = end + 1;
        }
        return -EINVAL;
}

int duration_parse(const char *text, uint64_t *ret_seconds) {
        double total = 0;
        unsigned n = 0;

        if (parse_clock(text, ret_seconds) == 0)
                return 0;
        for (const char *p = skip_filler(text); *p; p = skip_filler(p)) {
                uint64_t seconds = 0;
                char *end;

                if (!isdigit((unsigned char) *p))
                        return -EINVAL;
                double number = strtod(p, &end);
                if (end == p || strpbrk(p, "xX") || number > 1e12)
                        return -EINVAL;
                while (isspace((unsigned char) *end))
                        end++;
                size_t length = 0;
                while (isalpha((unsigned char) end[length]))
                        length++;
                if (length == 0 && *end == 0)
                        seconds = 1; /* without a unit */
                for (size_t i = 0; i < ELEMENTSOF(units) && length > 0; i++)
                        if (strncasecmp(units[i].name, end, length) == 0 && units[i].name[length] == 0)
                                seconds = units[i].seconds;
                if (seconds == 0)
                        return -EINVAL;
                total += number * (double) seconds;
                p = end + length;
                n++;
        }
        if (n == 0 || total > 1e15)
                return -EINVAL;
        *ret_seconds = (uint64_t) total;
        return 0;
}
