/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "machine/cause.h"
#include "machine/kernel-log.h"

#define SHORT "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg="
#define KILLED "Memory cgroup out of memory: Killed process 10024 "
#define SIZES " total-vm:320964kB, anon-rss:1024kB, file-rss:64kB, shmem-rss:0kB, UID:0 pgtables:260kB oom_score_adj:0"

/* Pairs of messages as the kernel writes them. */
static const struct {
        const char *first, *second;
        const char *name; /* NULL: not of this machine */
} pairs[] = {
        { SHORT "/machine.slice/m-1.service,task_memcg=/machine.slice/m-1.service/payload,task=cc1,pid=10024,uid=0",
          KILLED "(cc1)" SIZES, "cc1" },
        { SHORT "/nspawn-runner/m-1,task_memcg=/nspawn-runner/m-1,task=cc1,pid=10024,uid=0", KILLED "(cc1)" SIZES,
          "cc1" },
        { SHORT "/a/m-1/inner,task_memcg=/a/m-1/inner,task=x) y,pid=10024,uid=0", KILLED "(x) y)" SIZES, "x) y" },
        /* The slice of the job, with a process of this machine. */
        { SHORT
          "/machine.slice/machine-m_1.slice,task_memcg=/machine.slice/machine-m_1.slice/m-1.service/payload,task=cc1,"
          "pid=10024,uid=0",
          KILLED "(cc1)" SIZES, "cc1" },
        { SHORT
          "/x/nspawn-runner/machine-m_1.slice,task_memcg=/x/nspawn-runner/machine-m_1.slice/m-1,task=cc1,pid=1,uid=0",
          KILLED "(cc1)" SIZES, "cc1" },
        /* ... and with one of a service, or of another job's slice */
        { SHORT
          "/nspawn-runner/machine-m_1.slice,task_memcg=/nspawn-runner/machine-m_1.slice/m-1.s1,task=x,pid=1,uid=0",
          KILLED "(cc1)" SIZES, NULL },
        { SHORT "/nspawn-runner/machine-m_2.slice,task_memcg=/nspawn-runner/machine-m_2.slice/m-1,task=x,pid=1,uid=0",
          KILLED "(cc1)" SIZES, NULL },
        { SHORT "/machine-m_1.slice/m-2,task_memcg=/machine-m_1.slice/m-2/m-1,task=x,pid=1,uid=0", KILLED "(cc1)" SIZES,
          NULL },
        /* A service of its job. */
        { SHORT "/machine.slice/m-1.s1.service,task_memcg=/machine.slice/m-1.s1.service,task=x,pid=1,uid=0",
          KILLED "(cc1)" SIZES, NULL },
        /* Another machine, also one whose name begins alike, or that has ours in names of its own. */
        { SHORT "/nspawn-runner/m-2,task_memcg=/nspawn-runner/m-2,task=cc1,pid=1,uid=0", KILLED "(cc1)" SIZES, NULL },
        { SHORT "/nspawn-runner/m-12,task_memcg=/nspawn-runner/m-12,task=cc1,pid=1,uid=0", KILLED "(cc1)" SIZES, NULL },
        { SHORT "/nspawn-runner/m-2,task_memcg=/nspawn-runner/m-2/m-1/x,task=cc1,pid=1,uid=0", KILLED "(cc1)" SIZES,
          NULL },
        { SHORT "/nspawn-runner/m-2,task_memcg=/nspawn-runner/m-2,task=/m-1,pid=1,uid=0", KILLED "(cc1)" SIZES, NULL },
        { "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=m-1,pid=1,uid=0", KILLED "(cc1)" SIZES, NULL },
        { "something else", KILLED "(cc1)" SIZES, NULL },
        { SHORT "/nspawn-runner/m-1,task_memcg=/nspawn-runner/m-1,task=cc1,pid=1,uid=0", "something else", NULL },
        { SHORT "/nspawn-runner/m-1,task_memcg=/nspawn-runner/m-1,task=cc1,pid=1,uid=0", KILLED "no name", NULL },
};

static void test_victim(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                OomVictim victim = { 0 };
                bool ours = false;

                assert_row(!oom_victim_read(pairs[i].first, "m-1", &ours, &victim), i, pairs[i].first);
                bool found = oom_victim_read(pairs[i].second, "m-1", &ours, &victim);
                assert_row(found == (pairs[i].name != NULL), i, pairs[i].second);
                if (found) {
                        assert_row(streq(victim.name, pairs[i].name), i, victim.name);
                        assert_row(victim.used_bytes == UINT64_C(1088) * 1024, i, victim.name);
                }
        }
}

/* A name that is longer than the kernel's is cut off. */
static void test_long_name(void **state) {
        OomVictim victim = { 0 };
        bool ours = true;

        (void) state;
        assert_true(oom_victim_read(KILLED "(0123456789abcdefghij)" SIZES, "m-1", &ours, &victim));
        assert_string_equal(victim.name, "0123456789abcde");
}

static const struct {
        const char *what;
        uint64_t free, total, unit;
        bool limited, full;
} disks[] = {
        { "empty", 1000000, 1000000, 4096, true, false },
        { "full", 0, 1000000, 4096, true, true },
        { "too little for a buffer", 200, 1000000, 4096, false, true },
        { "a hundredth of an own disk", 10000, 1000000, 4096, true, true },
        { "a hundredth of the host's disk is much", 10000, 1000000, 4096, false, false },
        { "two hundredths", 20000, 1000000, 4096, true, false },
        { "no limit on files", 0, 0, 1, true, false },
};

static void test_disk(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(disks); i++)
                assert_row(disk_is_full(disks[i].free, disks[i].total, disks[i].unit, disks[i].limited) ==
                                   disks[i].full,
                           i, disks[i].what);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_victim),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_disk),
};
UNIT_FILE(tests);
