/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "container/channel.h"
#include "gitlab/stage.h"
#include "machine/disk.h"
#include "machine/kept.h"

/* A machine that is there as far as anybody looks: a directory and, if it runs, a socket. */
typedef struct Job {
        MachineDirectory directory;
        int listen_fd;
} Job;

static Job make_job(const Settings *settings, const char *id, bool runs) {
        Job job = { .listen_fd = -EBADF };

        assert_int_equal(machine_directory_open(settings->runtime_dir, id, true, &job.directory), 0);
        if (runs)
                job.listen_fd = channel_listen(job.directory.path);
        assert_true(!runs || job.listen_fd >= 0);
        return job;
}

static void end_job(Job *job) {
        closep(&job->listen_fd);
        machine_directory_done(&job->directory);
}

static void test_stages(_unused_ void **state) {
        static const char *const deciding[] = { NULL,
                                                "",
                                                "build_script",
                                                "step_release",
                                                "get_sources",
                                                "restore_cache",
                                                "download_artifacts",
                                                "upload_artifacts_on_success",
                                                "new" };
        static const char *const others[] = { "after_script", "archive_cache", "archive_cache_on_failure",
                                              "upload_artifacts_on_failure", "cleanup_file_variables" };

        for (size_t i = 0; i < ELEMENTSOF(deciding); i++)
                assert_row(gitlab_stage_decides(deciding[i]), i, "decides");
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                assert_row(!gitlab_stage_decides(others[i]), i, others[i]);
}

/* Which jobs are kept. */
static void test_keep(void **state) {
        static const struct {
                const char *text;
                const char *stages[4]; /* with what became of it behind the name */
                bool runs, off;
                int outcome;
                const char *why;
        } table[] = {
                { "nothing ran", { NULL }, true, false, KEEP_NOT, NULL },
                { "success", { "a", "" }, true, false, KEEP_NOT, NULL },
                { "failure",
                  { "build_script", "exit status 1" },
                  true,
                  false,
                  KEEP_BEGUN,
                  "build_script: exit status 1" },
                { "success in the end", { "a", "x", "a", "" }, true, false, KEEP_NOT, NULL },
                { "another's success", { "ab", "x", "a", "" }, true, false, KEEP_BEGUN, "ab: x" },
                { "no name", { "", "x" }, true, false, KEEP_BEGUN, "script: x" },
                { "failure of one that is gone", { "a", "x" }, false, false, KEEP_NOT, NULL },
                { "not wanted", { "a", "x" }, true, true, KEEP_NOT, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Settings settings = { .runtime_dir = *state,
                                      .keep_failed_max = 100,
                                      .keep_failed_size_bytes = UINT64_MAX };
                uint64_t keep_usec = table[i].off ? 0 : 3600 * USEC_PER_SEC;
                char id[] = { 'j', (char) ('a' + i), 0 };
                Job job = make_job(&settings, id, table[i].runs);
                uint64_t before = clock_now_usec(), until = 0, again = 0;
                _cleanup_free_ char *why = NULL, *why_again = NULL;

                assert_true(!kept_until(&job.directory, &until));
                for (size_t j = 0; j < 4 && table[i].stages[j]; j += 2)
                        kept_note(&job.directory, table[i].stages[j],
                                  isempty(table[i].stages[j + 1]) ? NULL : table[i].stages[j + 1]);
                assert_row(machine_keep(&settings, id, keep_usec, &until, &why) == table[i].outcome, i, table[i].text);
                assert_row(streq_null(why, table[i].why), i, table[i].text);
                assert_row(kept_until(&job.directory, &again) == (table[i].outcome == KEEP_BEGUN), i, table[i].text);
                assert_true(kept_or_job_is(&job.directory, id) == (table[i].outcome == KEEP_BEGUN));
                if (table[i].outcome == KEEP_BEGUN) {
                        char service_id[] = { 'j', (char) ('a' + i), '.', 's', '1', 0 };
                        Job service = make_job(&settings, service_id, false);

                        assert_true(kept_or_job_is(&service.directory, service_id));
                        end_job(&service);
                        assert_true(until == again && until >= before + keep_usec &&
                                    until <= clock_now_usec() + keep_usec);
                        /* Also by who would not keep it. */
                        assert_int_equal(machine_keep(&settings, id, i % 2 ? keep_usec : 0, &again, &why_again),
                                         KEEP_ALREADY);
                        assert_true(until == again);
                        assert_int_equal(machine_file_write(&job.directory, "kept", "1"), 0);
                        assert_int_equal(machine_keep(&settings, id, i % 2 ? keep_usec : 0, &again, &why_again),
                                         KEEP_NOT); /* its time is over */
                }
                end_job(&job);
        }
        assert_int_equal(machine_keep(&(Settings){ .runtime_dir = *state, .keep_failed_max = 1 }, "none", 1,
                                      &(uint64_t){ 0 }, &(char *){ NULL }),
                         KEEP_NOT);
}

/* A machine that has written more than all that are kept may is not kept. */
static void test_size(void **state) {
        Settings settings = { .runtime_dir = *state, .root_dir = *state, .keep_failed_max = 9 };
        char prefix[MACHINE_PREFIX_BYTES], data[UINT64_C(64) << 10];
        Job job = make_job(&settings, "large", true);
        _cleanup_free_ char *why = NULL, *again = NULL;
        uint64_t until, bytes;

        machine_prefix(*state, prefix);
        memset(data, 'x', sizeof(data));
        for (size_t i = 0; i < 2; i++) { /* of the job, and of its service */
                _cleanup_free_ char *name = NULL;

                assert_int_equal(string_printf(&name, "%slarge%s", prefix, i == 0 ? "" : ".s1"), 0);
                _cleanup_close_ int layer_fd = layer_open(*state, name, true);
                assert_true(layer_fd >= 0);
                _cleanup_close_ int fd = openat(layer_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
                assert_int_equal(fsync(fd), 0); /* some file systems take no room before */
        }
        assert_int_equal(machine_disk_bytes(&settings, "large", USEC_INFINITY, &bytes), 0);
        assert_true(bytes >= sizeof(data) && bytes < 2 * sizeof(data));
        kept_note(&job.directory, "a", "x");
        settings.keep_failed_size_bytes = bytes + sizeof(data) / 2;
        assert_int_equal(machine_keep(&settings, "large", USEC_PER_SEC, &until, &why), KEEP_TOO_LARGE);
        assert_string_equal(why, "a: x");
        assert_true(!kept_until(&job.directory, &until));
        settings.keep_failed_size_bytes *= 2;
        assert_int_equal(machine_keep(&settings, "large", USEC_PER_SEC, &until, &again), KEEP_BEGUN);
        _cleanup_free_ char *size = machine_file_read(&job.directory, "kept-size");
        assert_true(parse_uint64(size, &bytes) >= 0 && bytes >= 2 * sizeof(data));
        end_job(&job);
}

/* Somebody makes or removes it. */
static void test_locked(void **state) {
        Settings settings = { .runtime_dir = *state, .keep_failed_max = 1 };
        Job job = make_job(&settings, "locked", true);
        uint64_t until;
        char *why;

        kept_note(&job.directory, "a", "x");
        assert_int_equal(flock(job.directory.fd, LOCK_EX), 0);
        assert_int_equal(machine_keep(&settings, "locked", USEC_PER_SEC, &until, &why), KEEP_NOT);
        end_job(&job);
}

static void test_list_and_wait(void **state) {
        static const struct {
                const char *id, *until;
        } table[] = { { "late", "900" }, { "never", NULL }, { "early", "5" }, { "odd", "x" }, { "middle", "70" } };
        Settings settings = { .runtime_dir = *state };
        _cleanup_strv_ char **ids = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Job job = make_job(&settings, table[i].id, false);

                if (table[i].until)
                        assert_int_equal(machine_file_write(&job.directory, "kept", table[i].until), 0);
                end_job(&job);
        }
        assert_int_equal(kept_list(&settings, &ids), 0);
        assert_int_equal(strv_length(ids), 3);
        assert_string_equal(ids[0], "early");
        assert_string_equal(ids[1], "middle");
        assert_string_equal(ids[2], "late");

        /* There is nothing to wait for: the time is over, it is gone, it is not kept, or it does not run. */
        Job job = make_job(&settings, "early", true);
        assert_int_equal(kept_wait(&settings, "early", USEC_INFINITY), 0);
        end_job(&job);
        assert_int_equal(kept_wait(&settings, "none", USEC_INFINITY), 0);
        assert_int_equal(kept_wait(&settings, "never", USEC_INFINITY), 0);
        assert_int_equal(kept_wait(&settings, "late", USEC_INFINITY), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages),
        cmocka_unit_test_setup_teardown(test_keep, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_size, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_locked, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_list_and_wait, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
