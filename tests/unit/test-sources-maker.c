/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include <sys/mman.h>

#include "base/fd.h"
#include "base/string.h"
#include "local/sources-maker.h"

/* What the process left, as others read it. */
static void test_result(_unused_ void **state) {
        static const char made[] = "\0\0\0\0\0sub\0deep/er", failed[] = "\xf3\xff\xff\xffno 'x'\0sub";
        static const struct {
                const char *data;
                size_t size;
                int r;
                size_t n_empty;
                const char *text;
        } rows[] = {
                { made, sizeof(made), 0, 2, "" },
                { made, 5, 0, 0, "" },
                { failed, sizeof(failed), -EACCES, 0, "no 'x'" },
                { failed, 6, -EACCES, 0, "no" },                  /* cut off */
                { made, 4, -EIO, 0, "the process for that was" }, /* it was killed */
                { made, 0, -EIO, 0, "the process for that was" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                SourcesMaker maker = SOURCES_MAKER_NONE;
                _cleanup_strv_ char **empty = NULL;
                Problem problem = { 0 };

                maker.result_fd = memfd_create("result", MFD_CLOEXEC);
                assert_int_equal(fd_write_all(maker.result_fd, rows[i].data, rows[i].size), 0);
                for (unsigned n = 0; n < 2; n++) { /* the next one finds the same */
                        strv_free(empty);
                        empty = NULL;
                        int r = sources_maker_result(&maker, &empty, &problem);
                        assert_row(r == rows[i].r, i, strerror(-r));
                        assert_row(strv_length(empty) == rows[i].n_empty, i, "how many submodules");
                        assert_row(strstr(problem.text, rows[i].text), i, problem.text);
                }
                sources_maker_done(&maker);
        }
}

static void test_start_fails(_unused_ void **state) {
        const SourcesRequest request = { .cache = "/nonexistent" };
        SourcesMaker maker = SOURCES_MAKER_NONE;
        Problem problem = { 0 };

        assert_int_equal(sources_maker_start(&request, &maker, &problem), -ENOENT);
        assert_non_null(strstr(problem.text, "/nonexistent"));
        assert_int_equal(maker.pid, 0);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_result), cmocka_unit_test(test_start_fails) };
UNIT_FILE(tests);
