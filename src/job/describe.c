/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Puts into the plan of a job's container what people know the job by: `status` shows it, and the container's unit is
 * called so. `prepare` calls this. Whoever may change a pipeline chooses these texts, so what could do harm where
 * they are shown does not get there. */

#include "job/describe.h"

#include <stdlib.h>

#include "base/string.h"
#include "base/utf8.h"

#define TEXT_BYTES_MAX ((size_t) 255)

/* The length of the character at @s in UTF-8, in bytes; 0: it is no character, or must not be shown. */
static size_t character_size(const char *s) {
        uint32_t c;
        size_t n = utf8_decode(s, &c);

        /* Excluded: controls, and marks that change the direction of text. */
        bool usable = n > 0 && c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) &&
                      !(c >= 0x2066 && c <= 0x2069);
        return usable ? n : 0;
}

static int take(const char *text, char **ret) {
        if (isempty(text))
                return 0;
        char *clean = malloc(TEXT_BYTES_MAX + 1), *end = clean;
        if (!clean)
                return -ENOMEM;
        for (const char *s = text; *s;) {
                size_t n = character_size(s);

                if ((size_t) (end - clean) + MAX(n, (size_t) 1) > TEXT_BYTES_MAX)
                        break;
                if (n == 0)
                        *end++ = '?', s++;
                for (; n > 0; n--)
                        *end++ = *s++;
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
