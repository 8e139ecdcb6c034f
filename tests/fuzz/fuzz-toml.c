/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include "base/string.h"
#include "cli/setup-merge.h"

/* GitLab Runner's config.toml: what is read once can be read again with a runner in it, and all of it is still there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const SetupRunner runner = { "ours", "https://gitlab.example.com/", "token", "[[runners]]\nname = \"ours\"\n" };
        _cleanup_free_ char *text = strndup((const char *) data, size), *merged = NULL;
        Problem problem = { 0 };

        if (!text)
                return 0;
        int r = setup_merge(text, &runner, &merged, &problem);
        FUZZ_ASSERT(r > 0 || (r == -EINVAL && problem.text[0]));
        if (r < 0)
                return 0;
        FUZZ_ASSERT(r != SETUP_UNCHANGED || streq(merged, text));
        /* "concurrent" comes in at the top; the rest is in one piece. */
        FUZZ_ASSERT(r != SETUP_ADDED || strstr(merged, startswith(text, "\xef\xbb\xbf") ? text + 3 : text));
        FUZZ_ASSERT(r != SETUP_ADDED || endswith(merged, runner.section));
        return 0;
}
