/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the durations that variables of GitLab Runner have. Called by worker.c, as the user who called `exec`: a job's
 * own texts come here. GitLab's own durations are others (pipeline/duration.h). A text that is not understood as a whole
 * must be refused. */

#include "local/go-duration.h"

#include <string.h>

#include "base/string.h"

#define DIGITS "0123456789."
/* As far as Go's durations go: 292 years. */
#define USEC_MAX 9.2e15

/* Reads a number, and moves *@p behind it. Negative: there is none. */
static double read_number(const char **p) {
        size_t n = strspn(*p, DIGITS);
        char digits[32], *end;

        if (n == 0 || n >= sizeof(digits))
                return -1;
        memcpy(digits, *p, n);
        digits[n] = 0;
        *p += n;
        double number = strtod(digits, &end);
        return end == digits || *end ? -1 : number;
}

int go_duration_parse(const char *text, uint64_t *ret_usec) {
        static const struct {
                const char *name;
                double usec;
        } units[] = {
                { "ns", 0.001 }, { "us", 1 }, { "µs", 1 }, { "ms", 1e3 }, { "s", 1e6 }, { "m", 60e6 }, { "h", 3600e6 },
        };
        const char *p = text + (*text == '+');
        double total = 0;

        if (streq(p, "0")) {
                *ret_usec = 0;
                return 0;
        }
        do {
                double number = read_number(&p), usec = 0;
                size_t n = strcspn(p, DIGITS);

                for (size_t i = 0; i < ELEMENTSOF(units); i++)
                        if (strlen(units[i].name) == n && strncmp(units[i].name, p, n) == 0)
                                usec = units[i].usec;
                if (number < 0 || usec == 0)
                        return -EINVAL;
                total += number * usec;
                p += n;
        } while (*p);
        if (total > USEC_MAX)
                return -EINVAL;
        *ret_usec = (uint64_t) total;
        return 0;
}
