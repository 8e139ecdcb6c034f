/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/string.h"
#include "cli/start-common.h"
#include "gitlab/exit-status.h"
#include "machine/start.h"

static void set(const char *name, const char *value) {
        assert_int_equal(value ? setenv(name, value, true) : unsetenv(name), 0);
}

static void test_stage(_unused_ void **state) {
        static const struct {
                const char *build, *system; /* NULL: not set */
                int result, status;
        } table[] = {
                { NULL, NULL, 0, 0 },
                { NULL, NULL, STAGE_BUILD_FAILURE, 1 },
                { NULL, NULL, -EIO, 2 },
                { NULL, NULL, -1, 2 },
                { "1", "2", 0, 0 },
                { "1", "2", STAGE_BUILD_FAILURE, 1 },
                { "1", "2", -ENOMEM, 2 },
                { "17", "18", 0, 0 },
                { "17", "18", STAGE_BUILD_FAILURE, 17 },
                { "17", "18", -ENOMEM, 18 },
                { "255", "255", -ENOMEM, 255 },
                /* never success, nor what no exit status can be */
                { "0", "0", STAGE_BUILD_FAILURE, 1 },
                { "0", "0", -EIO, 2 },
                { "256", "256", STAGE_BUILD_FAILURE, 1 },
                { "256", "256", -EIO, 2 },
                { "", "", STAGE_BUILD_FAILURE, 1 },
                { "", "", -EIO, 2 },
                { "-1", "-1", -EIO, 2 },
                { "3 ", " 3", STAGE_BUILD_FAILURE, 1 },
                { "3 ", " 3", -EIO, 2 },
                { "x", "0x10", -EIO, 2 },
                { "99999999999999999999", "18446744073709551618", -EIO, 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                set("BUILD_FAILURE_EXIT_CODE", table[i].build);
                set("SYSTEM_FAILURE_EXIT_CODE", table[i].system);
                assert_row(exit_status_for_stage(table[i].result) == table[i].status, i, table[i].build);
        }
        set("BUILD_FAILURE_EXIT_CODE", NULL);
        set("SYSTEM_FAILURE_EXIT_CODE", NULL);
}

static void test_report(void **state) {
        static const struct {
                int status;
                const char *content;
        } table[] = { { 1, "1\n" }, { 42, "42\n" }, { 255, "255\n" }, { 137, "137\n" }, { 1, "1\n" } };
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/code", (char *) *state), 0);
        set("BUILD_EXIT_CODE_FILE", path);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *content = NULL;

                /* nothing is left of what was longer */
                assert_int_equal(exit_status_report(table[i].status), 0);
                assert_int_equal(file_read_at(dir_fd, "code", 100, &content, NULL), 0);
                assert_row(streq(content, table[i].content), i, content);
        }
        exit_status_forget();
        assert_int_equal(faccessat(dir_fd, "code", F_OK, 0), -1);
        exit_status_forget(); /* nothing to forget */

        set("BUILD_EXIT_CODE_FILE", *state);
        assert_int_equal(exit_status_report(1), -EISDIR);
        exit_status_forget();
        assert_int_equal(faccessat(dir_fd, ".", F_OK, 0), 0);
        set("BUILD_EXIT_CODE_FILE", "/no/such/directory/code");
        assert_int_equal(exit_status_report(1), -ENOENT);
        set("BUILD_EXIT_CODE_FILE", NULL);
}

/* An empty file would be another failure than none: of the system. */
static void test_no_room(void **state) {
        struct rlimit before, none;
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/code", (char *) *state), 0);
        set("BUILD_EXIT_CODE_FILE", path);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        none = (struct rlimit){ 0, before.rlim_max };
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        int r = exit_status_report(1);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(r, -EFBIG);
        assert_int_equal(access(path, F_OK), -1);
        set("BUILD_EXIT_CODE_FILE", NULL);
}

/* Older runners have no such file. */
static void test_no_file(_unused_ void **state) {
        static const char *const table[] = { NULL, "" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                set("BUILD_EXIT_CODE_FILE", table[i]);
                assert_row(exit_status_report(1) == 0, i, table[i]);
                exit_status_forget();
        }
        set("BUILD_EXIT_CODE_FILE", NULL);
}

/* Only what somebody cancelled counts as cancelled in the metrics. */
static void test_failed_start(void **state) {
        static const struct {
                int outcome, result;
        } table[] = {
                { START_CANCELLED, -ECANCELED },
                { START_NOT_READY, -EIO },
                { START_IMAGE_REFUSED, STAGE_BUILD_FAILURE },
                { START_NOT_EXECUTABLE, STAGE_BUILD_FAILURE },
                { -ENOMEM, -ENOMEM },
        };
        const Machine machine = { 0 };
        const Problem problem = { .text = "it did not start" };
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const MachineDirectory directory = { .path = *state, .fd = dir_fd };

        assert_int_equal(machine_file_write(&directory, MACHINE_FILE_ENDED, "of itself"), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(failed_start_logged(&machine, &directory, table[i].outcome, &problem) == table[i].result, i,
                           NULL);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stage),
        cmocka_unit_test_setup_teardown(test_report, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_room, setup_directory, teardown_directory),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test_setup_teardown(test_failed_start, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
