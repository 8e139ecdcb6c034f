/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When images of jobs are fetched: what the administrator says, and within that the job. */

#include "unit.h"

#include "base/string.h"
#include "job/pull.h"

static char **list(const char *const *texts) {
        return texts[0] ? (char **) texts : NULL;
}

static bool are(char *const *texts, const char *const *expected) {
        for (; *texts && *expected; texts++, expected++)
                if (!streq(*texts, *expected))
                        return false;
        return !*texts && !*expected;
}

static void test_choice(_unused_ void **state) {
        static const struct {
                const char *setting[3], *allowed[3], *wanted[3];
                const char *result[3]; /* empty: not allowed */
                const char *refused;
        } table[] = {
                { { "never" }, { NULL }, { NULL }, { "never" }, NULL },
                { { "never" }, { NULL }, { "never" }, { "never" }, NULL },
                { { "never" }, { NULL }, { "always" }, { "never" }, "always" },
                { { "never" }, { NULL }, { "if-not-present", "never" }, { "never" }, "if-not-present" },
                { { NULL }, { NULL }, { NULL }, { "never" }, NULL },
                { { "if-not-present" }, { NULL }, { NULL }, { "if-not-present" }, NULL },
                { { "if-not-present" }, { NULL }, { "never" }, { "never" }, NULL },
                { { "if-not-present" },
                  { NULL },
                  { "always", "if-not-present" },
                  { "always", "if-not-present" },
                  NULL },
                { { "always", "if-not-present" }, { NULL }, { NULL }, { "always", "if-not-present" }, NULL },
                { { "always", "if-not-present" }, { NULL }, { "if-not-present" }, { "if-not-present" }, NULL },
                /* what others fetched is not to be had by not asking */
                { { "always" }, { NULL }, { "if-not-present" }, { "always" }, NULL },
                { { "always" }, { NULL }, { "if-not-present", "always" }, { "always" }, NULL },
                { { "always" }, { NULL }, { "sometimes" }, { "always" }, "sometimes" },
                { { "always" }, { NULL }, { "never" }, { "always" }, "never" },
                { { "always" }, { NULL }, { "never", "if-not-present" }, { "always" }, "never" },
                { { "always" }, { NULL }, { "sometimes", "never" }, { "always" }, "sometimes" },
                { { "always", "never" }, { NULL }, { "never" }, { "never" }, NULL },
                { { "always", "if-not-present" }, { NULL }, { "never" }, { "never" }, NULL },
                { { "always" }, { "never" }, { "never" }, { "never" }, NULL },
                { { "always" }, { "if-not-present" }, { "if-not-present" }, { "if-not-present" }, NULL },
                { { "always" }, { "if-not-present" }, { "always" }, { NULL }, "always" },
                { { "always" }, { "if-not-present" }, { NULL }, { "always" }, NULL },
                { { "never" }, { "always" }, { "always" }, { "always" }, NULL },
                { { "never" }, { "always" }, { "if-not-present", "always" }, { NULL }, "if-not-present" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Settings settings = { 0 };
                _cleanup_pull_choice_ PullChoice choice = { 0 };
                const char *name = table[i].wanted[0];

                settings.pull = list(table[i].setting);
                settings.allowed_pull_policies = list(table[i].allowed);
                int r = pull_choose(&settings, list(table[i].wanted), &choice);
                assert_row(r == (table[i].result[0] ? 0 : PULL_NOT_ALLOWED), i, name);
                assert_row(r != 0 || are(choice.policies, table[i].result), i, name);
                assert_row(table[i].refused ? streq_null(choice.refused, table[i].refused) : !choice.refused, i, name);
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_choice) };
UNIT_FILE(tests);
