/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"
#include "pipeline/dotenv.h"
#include "pipeline/junit.h"

/* Reports that jobs write: the same bytes as a dotenv file and as JUnit's XML. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        JunitSummary summary = { 0 };
        _cleanup_free_ char *problem = NULL;
        _cleanup_arena_ Arena arena;
        const char *text = NULL;

        int r = junit_add(&summary, (const char *) data, size, &problem);
        FUZZ_ASSERT(r == 0 || r == -ENOENT || (r == -EBADMSG && problem));
        FUZZ_ASSERT(summary.n_failures <= summary.n_failed + summary.n_errors);
        FUZZ_ASSERT(summary.n_failed + summary.n_errors + summary.n_skipped <= summary.n_tests);
        junit_done(&summary);

        arena_init(&arena, (size_t) 1 << 20);
        if (setjmp(arena.exhausted) != 0)
                return 0;
        Variables variables = { .arena = &arena };
        r = dotenv_read((const char *) data, size, &variables, &text);
        FUZZ_ASSERT(r == 0 || (r == -EINVAL && text));
        FUZZ_ASSERT(r < 0 || variables.n <= DOTENV_VARIABLES_MAX);
        return 0;
}
