/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fnmatch.h>

#include "base/string.h"
#include "container/slice.h"

#define USUAL "nspawn-runner-job-"
#define OTHER "nspawn-runner-b01af343-"

static const struct {
        const char *name, *slice;
} names[] = {
        { USUAL "7-ab12", "machine-nspawn_runner_job_7_ab12.slice" },
        { USUAL "7-ab12.s1", "machine-nspawn_runner_job_7_ab12.slice" },
        { USUAL "7-ab12.s59", "machine-nspawn_runner_job_7_ab12.slice" },
        /* no service's */
        { USUAL "7.s60", "machine-nspawn_runner_job_7.s60.slice" },
        { USUAL "7.s", "machine-nspawn_runner_job_7.s.slice" },
        { OTHER "7-ab12", "machine-nspawn_runner_b01af343_7_ab12.slice" },
        { OTHER "7-ab12.s2", "machine-nspawn_runner_b01af343_7_ab12.slice" },
};

/* From a container to its job's slice, and from there to the job. Each has only one '-': the slice is in machine.slice. */
static void test_names(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *slice = NULL, *back = NULL, *again = NULL;

                assert_int_equal(slice_name(names[i].name, &slice), 0);
                assert_row(streq(slice, names[i].slice), i, slice);
                assert_true(slice_is_name(slice) && !slice_is_name(names[i].name));
                assert_ptr_equal(strchr(slice, '-'), strrchr(slice, '-'));
                assert_int_equal(slice_job(slice, "", &back), 0);
                assert_int_equal(slice_name(back, &again), 0);
                assert_row(streq(again, slice), i, back);
        }
}

/* What a list is made from: only what has the prefix. */
static void test_prefixes(_unused_ void **state) {
        static const struct {
                const char *prefix, *slice, *job;
        } table[] = {
                { USUAL, "machine-nspawn_runner_job_7_ab12.slice", "7-ab12" },
                { USUAL "7-ab12", "machine-nspawn_runner_job_7_ab12.slice", "" },
                { OTHER, "machine-nspawn_runner_b01af343_7.slice", "7" },
                { OTHER, "machine-nspawn_runner_job_7.slice", NULL },
                { USUAL, "machine-nspawn_runner_job_7", NULL },
                { USUAL, "nspawn-runner-job-7.service", NULL },
                { USUAL, "machine-nspawn-runner-job-7.slice", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *pattern = NULL, *job = NULL;

                assert_int_equal(slice_pattern(table[i].prefix, &pattern), 0);
                assert_row((fnmatch(pattern, table[i].slice, 0) == 0) == (table[i].job != NULL), i, pattern);
                int r = slice_job(table[i].slice, table[i].prefix, &job);
                assert_row(r == (table[i].job ? 0 : -ENOENT), i, table[i].slice);
                assert_row(r < 0 || streq(job, table[i].job), i, job);
        }
}

static void assert_limits(CgroupLimits limits, uint64_t high, uint64_t max, uint64_t tasks) {
        assert_true(limits.memory_high_bytes == high);
        assert_true(limits.memory_max_bytes == max);
        assert_true(limits.tasks_max == tasks);
        assert_int_equal(limits.cpu_weight, 50);
}

static void test_limits(_unused_ void **state) {
        Machine machine = {
                .settings = { .memory_high.bytes = 30, .memory_max.bytes = 40, .tasks_max = 500, .cpu_weight = 50 }
        };
        char job[] = "7";

        /* Nothing is said of the whole job. */
        assert_limits(machine_limits(&machine), 30, 40, 500);
        assert_limits(slice_limits(&machine), UINT64_MAX, UINT64_MAX, UINT64_MAX);
        assert_false(slice_is_of(&machine));

        /* The whole job is one container. */
        machine.settings.job_memory_high.bytes = 20;
        machine.settings.job_memory_max.bytes = 60;
        machine.settings.job_tasks_max = 400;
        assert_limits(machine_limits(&machine), 20, 40, 400);

        /* It is several, of which each has its own limit. */
        machine.has_segment = true;
        assert_true(slice_is_of(&machine));
        assert_limits(machine_limits(&machine), 30, 40, 500);
        assert_limits(slice_limits(&machine), 20, 60, 400);
        machine.has_segment = false;
        machine.network_of = job;
        assert_false(slice_is_of(&machine));
        assert_limits(machine_limits(&machine), 30, 40, 500);
        assert_limits(slice_limits(&machine), 20, 60, 400);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_limits),
};
UNIT_FILE(tests);
