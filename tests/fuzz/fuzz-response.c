/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"
#include "gitlab/response.h"

/* The job as GitLab sent it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        int r = response_parse((const char *) data, size, &job, &problem);
        if (r < 0) {
                FUZZ_ASSERT(r == -EBADMSG && problem.text[0]);
                FUZZ_ASSERT(job.number == 0 && !job.token && !job.image.name && !job.repository);
                return 0;
        }
        FUZZ_ASSERT(job.number > 0 && job.number <= INT64_MAX && job.project_id <= INT64_MAX);
        FUZZ_ASSERT(!job.token || job.token[0]);
        FUZZ_ASSERT(!job.image.name || job.image.name[0]);

        for (size_t i = 0; i < job.variables.n; i++)
                FUZZ_ASSERT(job.variables.items[i].key && job.variables.items[i].value);
        FUZZ_ASSERT(!job.id && job.trusted);

        /* No user or password is left in the URL. */
        const char *host = job.repository ? strstr(job.repository, "://") : NULL;
        if (host)
                FUZZ_ASSERT(!memchr(host + 3, '@', strcspn(host + 3, "/")));
        return 0;
}
