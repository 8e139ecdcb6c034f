/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"
#include "gitlab/response.h"

/* The job as GitLab sent it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_response_ JobResponse response = { 0 };
        char problem[256] = "";

        int r = response_parse((const char *) data, size, &response, problem);
        if (r < 0) {
                FUZZ_ASSERT(r == -EBADMSG && problem[0] && strlen(problem) < sizeof(problem));
                FUZZ_ASSERT(response.id == 0 && !response.token && !response.image && !response.repository);
                return 0;
        }
        FUZZ_ASSERT(response.id > 0 && response.id <= INT64_MAX && response.project_id <= INT64_MAX);
        FUZZ_ASSERT(!response.token || response.token[0]);
        FUZZ_ASSERT(!response.image || response.image[0]);

        /* No user or password is left in the URL. */
        const char *host = response.repository ? strstr(response.repository, "://") : NULL;
        if (host)
                FUZZ_ASSERT(!memchr(host + 3, '@', strcspn(host + 3, "/")));
        return 0;
}
