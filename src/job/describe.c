/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts into the plan of a job's container what people know the job by: `status` shows it, and the container's unit is
 * called so. `prepare` calls this. Whoever may change a pipeline chooses these texts, so what could do harm where
 * they are shown does not get there. */

#include "job/describe.h"

#include <stdlib.h>

#include "base/string.h"

#define TEXT_BYTES_MAX ((size_t) 255)

/* The length of the character at @s in UTF-8, in bytes; 0: it is no character, or must not be shown. */
static size_t character_size(const unsigned char *s) {
        static const struct {
                unsigned char mask, lead;
                size_t n;
                uint32_t min;
        } kinds[] = { { 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 } };

        if (s[0] < 0x80)
                return s[0] >= 0x20 && s[0] != 0x7f;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if ((s[0] & kinds[i].mask) != kinds[i].lead)
                        continue;
                uint32_t c = s[0] & (unsigned char) ~kinds[i].mask;
                for (size_t j = 1; j < kinds[i].n; j++) {
                        if ((s[j] & 0xc0) != 0x80)
                                return 0;
                        c = c << 6 | (s[j] & 0x3f);
                }
                /* Excluded: C1 controls, surrogates, and marks that change the direction of text. */
                bool usable = c >= kinds[i].min && c >= 0xa0 && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000) &&
                              !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
                return usable ? kinds[i].n : 0;
        }
        return 0;
}

static int take(const char *text, char **ret) {
        if (isempty(text))
                return 0;
        char *clean = malloc(TEXT_BYTES_MAX + 1), *end = clean;
        if (!clean)
                return -ENOMEM;
        for (const unsigned char *s = (const unsigned char *) text; *s;) {
                size_t n = character_size(s);

                if ((size_t) (end - clean) + MAX(n, (size_t) 1) > TEXT_BYTES_MAX)
                        break;
                if (n == 0)
                        *end++ = '?', s++;
                for (; n > 0; n--)
                        *end++ = (char) *s++;
        }
        *end = 0;
        *ret = clean;
        return 0;
}

int job_describe(const JobSpec *job, Machine *machine) {
        const struct {
                const char *text;
                char **target;
        } parts[] = {
                { job->name, &machine->job_name },         { job->stage, &machine->job_stage },
                { job->project, &machine->project },       { job->url, &machine->job_url },
                { job->started_by, &machine->started_by },
        };

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                int r = take(parts[i].text, parts[i].target);
                if (r < 0)
                        return r;
        }
        return 0;
}
