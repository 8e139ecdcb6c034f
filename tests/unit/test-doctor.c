/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "doctor/check.h"

#define OURS "[[runners]]\nname = 'ours'\n[runners.custom]\nrun_exec = '/usr/bin/nspawn-runner'\n"

static void test_clone_path(_unused_ void **state) {
        static const struct {
                const char *text, *names; /* NULL: it cannot be read */
        } table[] = {
                { "", "" },
                { "concurrent = 1\n", "" },
                { OURS, "ours" },
                { "[[runners]]\n[runners.custom]\nrun_exec = 'nspawn-runner'\n", "" },
                { OURS "[runners.custom_build_dir]\n", "ours" },
                { OURS "[runners.custom_build_dir]\nenabled = true\n", "" },
                { OURS "[runners.custom_build_dir]\nenabled = false\n", "" },
                { "[[runners]]\nname = 'ours'\ncustom_build_dir.enabled = true\ncustom.run_exec = 'nspawn-runner'\n",
                  "" },
                { "[[runners]]\nname = 'a'\ncustom_build_dir = { enabled = true }\ncustom.run_exec = 'nspawn-runner'\n",
                  "" },
                { "[[runners]]\nname = 'a'\ncustom.run_exec = 'nspawn-runner'\n", "a" },
                { "[[runners]]\nname = 'docker'\n[runners.docker]\nimage = 'x'\n", "" },
                { "[[runners]]\nname = 'other'\n[runners.custom]\nrun_exec = '/opt/nspawn-runner/run'\n", "" },
                { OURS "[[runners]]\nname = 'b'\n[runners.custom_build_dir]\nenabled = true\n" OURS, "ours,ours" },
                { "[[runners]\n", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *list = NULL;
                _cleanup_strv_ char **names = NULL;
                Problem problem = { 0 };

                int r = doctor_runners_without_clone_path(table[i].text, &names, &problem);
                assert_row(r == (table[i].names ? 0 : -EINVAL), i, table[i].text);
                for (char **name = names; name && *name; name++)
                        assert_int_equal(string_append(&list, ",", "%s", *name), 0);
                assert_row(!table[i].names || streq(list ? list : "", table[i].names), i, list);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clone_path),
};
UNIT_FILE(tests);
