/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "container/cgroup-warm.h"
#include "container/cgroup.h"
#include "failing.h"

/* Only the kernel makes real groups, and only for root. Here, directories with files of the same names stand for them:
 * what is read from and written to each file. */

static void make_directory(const char *parent, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/%s", parent, name), 0);
        assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *directory, const char *name, const char *content) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_replace_at(fd, name, content, strlen(content), 0644), 0);
}

static char *read_file(const char *directory, const char *name) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *text = NULL;

        return file_read_at(fd, name, 4096, &text, NULL) < 0 ? NULL : text;
}

/* A hierarchy @name below the test's directory, with a group in it. */
static void add_hierarchy(CgroupSet *set, void **state, const char *name, unsigned flags) {
        CgroupDirectory *directory = &set->directories[set->n++];

        make_directory(*state, name);
        *directory = (CgroupDirectory){ .flags = flags };
        assert_int_equal(string_printf(&directory->path, "%s/%s/group", (char *) *state, name), 0);
        assert_int_equal(mkdir(directory->path, 0755), 0);
}

static void test_limits(void **state) {
        static const struct {
                const char *hierarchy;
                unsigned flags;
                const char *files[8]; /* that are there */
                CgroupLimits limits;
                int result;
                const char *content[8];
        } table[] = {
                { "v2",
                  CGROUP_UNIFIED,
                  { "memory.high", "memory.max", "pids.max", "cpu.weight" },
                  { 1000, 2000, 300, 50 },
                  0,
                  { "1000", "2000", "300", "50" } },
                { "v2-unlimited",
                  CGROUP_UNIFIED,
                  { "memory.high", "memory.max", "pids.max", "cpu.weight" },
                  { UINT64_MAX, UINT64_MAX, UINT64_MAX, 10000 },
                  0,
                  { "max", "max", "max", "10000" } },
                { "v2-no-high",
                  CGROUP_UNIFIED,
                  { "memory.max", "pids.max", "cpu.weight" },
                  { 1, 2, 3, 4 },
                  0,
                  { "2", "3", "4" } },
                { "v2-no-memory",
                  CGROUP_UNIFIED,
                  { "pids.max", "cpu.weight" },
                  { 1, 2, 3, 4 },
                  -EOPNOTSUPP,
                  { "3", "4" } },
                { "v2-nothing", CGROUP_UNIFIED, { NULL }, { 1, 2, 3, 4 }, -EOPNOTSUPP, { NULL } },
                /* the hierarchy of one controller has no other's files */
                { "v1",
                  CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU,
                  { "memory.limit_in_bytes", "pids.max", "cpu.shares" },
                  { 1000, 2000, 300, 50 },
                  0,
                  { "2000", "300", "512" } },
                { "v1-unlimited",
                  CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU,
                  { "memory.limit_in_bytes", "pids.max", "cpu.shares" },
                  { UINT64_MAX, UINT64_MAX, UINT64_MAX, 100 },
                  0,
                  { "-1", "max", "1024" } },
                { "v1-least",
                  CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU,
                  { "memory.limit_in_bytes", "pids.max", "cpu.shares" },
                  { 0, 0, 1, 0 },
                  0,
                  { "0", "1", "2" } },
                { "v1-memory",
                  CGROUP_MEMORY,
                  { "memory.limit_in_bytes", "pids.max" },
                  { 1, 2, 3, 4 },
                  -EOPNOTSUPP,
                  { "2", "" } },
                { "v1-systemd", CGROUP_SYSTEMD, { "memory.max", "pids.max" }, { 1, 2, 3, 4 }, -EOPNOTSUPP, { "", "" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_cgroup_set_ CgroupSet set = { 0 };

                add_hierarchy(&set, state, table[i].hierarchy, table[i].flags);
                for (size_t f = 0; table[i].files[f]; f++)
                        make_file(set.directories[0].path, table[i].files[f], "");
                assert_row(cgroup_limit(&set, &table[i].limits) == table[i].result, i, table[i].hierarchy);
                for (size_t f = 0; table[i].files[f]; f++) {
                        _cleanup_free_ char *content = read_file(set.directories[0].path, table[i].files[f]);
                        assert_row(streq(content, table[i].content[f]), i, content);
                }
        }
}

/* What the kernel has for the groups below, with version 2 alone, and what of it cannot be set is an error. */
static void test_bound(void **state) {
        static const struct {
                const char *hierarchy;
                unsigned flags;
                const char *file; /* of the two, the only one; NULL: both */
                int result;
        } table[] = {
                { "bound", CGROUP_UNIFIED, NULL, 0 },
                { "no-depth", CGROUP_UNIFIED, "cgroup.max.descendants", -ENOENT },
                { "no-descendants", CGROUP_UNIFIED, "cgroup.max.depth", -ENOENT },
                { "bound-v1", CGROUP_SYSTEMD, "none", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                static const char *const files[] = { "cgroup.max.descendants", "cgroup.max.depth" };
                static const char *const values[] = { "2048", "32" };
                _cleanup_cgroup_set_ CgroupSet set = { 0 };

                add_hierarchy(&set, state, table[i].hierarchy, table[i].flags);
                for (size_t f = 0; f < ELEMENTSOF(files); f++)
                        if (!table[i].file || streq(table[i].file, files[f]))
                                make_file(set.directories[0].path, files[f], "");
                assert_row(cgroup_bound(&set) == table[i].result, i, table[i].hierarchy);
                for (size_t f = 0; !table[i].file && f < ELEMENTSOF(files); f++) {
                        _cleanup_free_ char *content = read_file(set.directories[0].path, files[f]);
                        assert_row(streq(content, values[f]), i, content);
                }
        }
}

/* Which limits bind is seen from the files that controllers make. */
static void test_limited(void **state) {
        static const struct {
                const char *hierarchy;
                unsigned flags;
                const char *files[4];
                unsigned limited;
        } table[] = {
                { "all",
                  CGROUP_UNIFIED,
                  { "memory.max", "pids.max", "cpu.weight" },
                  CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU },
                { "pids", CGROUP_UNIFIED, { "pids.max", "memory.limit_in_bytes", "cpu.shares" }, CGROUP_PIDS },
                { "none", CGROUP_UNIFIED, { "cgroup.procs" }, 0 },
                { "v1-cpu", CGROUP_CPU, { "cpu.shares", "cpu.weight" }, CGROUP_CPU },
                { "v1-memory", CGROUP_MEMORY, { "memory.limit_in_bytes", "pids.max" }, CGROUP_MEMORY },
                { "v1-missing", CGROUP_MEMORY, { "cgroup.procs" }, 0 },
                { "v1-systemd", CGROUP_SYSTEMD, { "memory.max", "pids.max" }, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_cgroup_set_ CgroupSet set = { 0 };

                add_hierarchy(&set, state, table[i].hierarchy, table[i].flags);
                for (size_t f = 0; f < ELEMENTSOF(table[i].files) && table[i].files[f]; f++)
                        make_file(set.directories[0].path, table[i].files[f], "");
                assert_row(cgroup_limited(&set) == table[i].limited, i, table[i].hierarchy);
        }
}

/* As most v1 hosts have it: a hierarchy for each controller, and v2 without any. */
static void test_limits_hybrid(void **state) {
        static const struct {
                const char *name, *file, *content;
                unsigned flags;
        } table[] = {
                { "unified", "cgroup.procs", "", CGROUP_UNIFIED },
                { "memory", "memory.limit_in_bytes", "2000", CGROUP_MEMORY },
                { "pids", "pids.max", "300", CGROUP_PIDS },
                { "cpu", "cpu.shares", "102400", CGROUP_CPU },
                { "systemd", "tasks", "", CGROUP_SYSTEMD },
        };
        const CgroupLimits limits = { 1000, 2000, 300, 10000 };
        _cleanup_cgroup_set_ CgroupSet set = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                add_hierarchy(&set, state, table[i].name, table[i].flags);
                make_file(set.directories[i].path, table[i].file, "");
        }
        assert_int_equal(cgroup_limit(&set, &limits), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *content = read_file(set.directories[i].path, table[i].file);
                assert_row(streq(content, table[i].content), i, content);
        }
}

static void assert_file(const char *directory, const char *name, const char *content) {
        _cleanup_free_ char *text = read_file(directory, name);

        assert_string_equal(text, content);
}

static void test_enter(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *child = NULL;

        add_hierarchy(&set, state, "unified", CGROUP_UNIFIED);
        add_hierarchy(&set, state, "memory", CGROUP_MEMORY);
        make_file(set.directories[0].path, "cgroup.procs", "");

        /* The one of a controller takes nobody, which only the limits suffer from. */
        assert_int_equal(cgroup_enter(&set, false), 0);
        assert_file(set.directories[0].path, "cgroup.procs", "0");

        make_directory(set.directories[0].path, "child");
        assert_int_equal(string_printf(&child, "%s/child", set.directories[0].path), 0);
        make_file(child, "cgroup.procs", "");
        assert_int_equal(cgroup_enter_subgroup(&set, "child", false), 0);
        assert_file(child, "cgroup.procs", "0");

        /* What cannot be entered where it matters. */
        set.directories[1].flags = CGROUP_SYSTEMD;
        assert_int_equal(cgroup_enter(&set, false), -ENOENT);
        assert_int_equal(cgroup_enter_subgroup(&set, "other", false), -ENOENT);

        /* In version 1, without the lock that is for processes. */
        make_file(set.directories[1].path, "cgroup.procs", "");
        make_file(set.directories[1].path, "tasks", "");
        assert_int_equal(cgroup_enter(&set, true), 0);
        assert_file(set.directories[1].path, "tasks", "0");
        assert_file(set.directories[1].path, "cgroup.procs", "");
}

/* Who was born in a v2 group does not enter it. */
static void test_born(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *child = NULL;
        int error = 0, status;

        assert_int_equal(cgroup_open_subgroup(&set, "child"), -ENOENT);
        add_hierarchy(&set, state, "v1", CGROUP_MEMORY);
        add_hierarchy(&set, state, "machine", CGROUP_UNIFIED);
        assert_int_equal(cgroup_enter(&set, true), 0);
        assert_int_equal(cgroup_enter_subgroup(&set, "child", true), 0);

        _cleanup_close_ int fd = cgroup_open_subgroup(&set, "child");
        assert_true(fd >= 0);
        assert_int_equal(string_printf(&child, "%s/child", set.directories[1].path), 0);
        /* The kernel refuses this directory, so the child goes there itself. */
        for (unsigned i = 0; i < 2; i++) {
                pid_t pid = process_fork_into(fd, &error);
                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(error == 0 ? 0 : error == -ENOENT ? 1 : 2);
                assert_int_equal(process_wait(pid, &status), 0);
                assert_int_equal(WEXITSTATUS(status), i == 0 ? 1 : 0);
                if (i == 0)
                        make_file(child, "cgroup.procs", "");
        }
        assert_file(child, "cgroup.procs", "0");

        free(set.directories[1].path);
        set.directories[1].path = TAKE_PTR(child);
        assert_false(cgroup_leave_out(&set, "other", "child"));
        assert_false(cgroup_leave_out(&set, "group", "chil"));
        assert_true(cgroup_leave_out(&set, "group", "child"));
        assert_non_null(endswith(set.directories[1].path, "/group"));
        assert_false(cgroup_leave_out(&set, "group", "child"));
}

static void test_delegate(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *content = NULL, *untouched = NULL;

        add_hierarchy(&set, state, "unified", CGROUP_UNIFIED);
        add_hierarchy(&set, state, "pids", CGROUP_PIDS);
        make_file(set.directories[0].path, "cgroup.controllers", "pids\n");
        make_file(set.directories[0].path, "cgroup.subtree_control", "");
        make_file(set.directories[1].path, "cgroup.controllers", "pids\n");
        make_file(set.directories[1].path, "cgroup.subtree_control", "");
        cgroup_delegate_controllers(&set);
        content = read_file(set.directories[0].path, "cgroup.subtree_control");
        assert_string_equal(content, "+pids");
        untouched = read_file(set.directories[1].path, "cgroup.subtree_control");
        assert_string_equal(untouched, "");
}

static void sum(pid_t pid, void *userdata) {
        *(int *) userdata += pid;
}

static void test_visit(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *child = NULL;
        int total = 0;

        /* Groups that are not there have no members. */
        set.directories[set.n++] = (CgroupDirectory){ .path = strdup("/no/such/group"), .flags = CGROUP_UNIFIED };
        assert_int_equal(cgroup_visit(&set, sum, &total), 0);
        assert_true(cgroup_is_empty(&set));

        add_hierarchy(&set, state, "memory", CGROUP_MEMORY);
        make_directory(set.directories[1].path, "payload");
        assert_int_equal(string_printf(&child, "%s/payload", set.directories[1].path), 0);
        assert_true(cgroup_is_empty(&set));
        make_file(child, "cgroup.procs", "300\n4000\n");
        assert_int_equal(cgroup_visit(&set, sum, &total), 2);
        assert_int_equal(total, 4300);
        assert_false(cgroup_is_empty(&set));

        /* Those of other pid namespaces count, but cannot be visited. */
        make_file(set.directories[1].path, "cgroup.procs", "0\n50000\n");
        total = 0;
        assert_int_equal(cgroup_visit(&set, sum, &total), 4);
        assert_int_equal(total, 54300);
}

/* Nobody can tell who is in what cannot be read; the others are visited nevertheless. */
static void test_visit_unreadable(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *child = NULL;
        int total = 0;

        add_hierarchy(&set, state, "unreadable", CGROUP_MEMORY);
        add_hierarchy(&set, state, "readable", CGROUP_PIDS);
        make_file(set.directories[1].path, "cgroup.procs", "7\n");
        make_directory(set.directories[0].path, "child");
        assert_int_equal(cgroup_visit(&set, sum, &total), 1);

        failing_readdir(0, EIO);
        int r = cgroup_visit(&set, sum, &total);
        bool empty = cgroup_is_empty(&set);
        set.n = 1;
        int removed = cgroup_remove(&set);
        failing_readdir(0, 0);
        assert_int_equal(r, -EIO);
        assert_int_equal(total, 7 + 7);
        assert_false(empty);
        assert_int_equal(removed, -EIO);

        assert_int_equal(string_printf(&child, "%s/child", set.directories[0].path), 0);
        make_directory(child, "cgroup.procs"); /* something to be opened that is not to be read */
        assert_int_equal(cgroup_visit(&set, sum, &total), -EISDIR);
        assert_false(cgroup_is_empty(&set));
        set.n = 2;
}

/* A container nests its groups as deep as it likes. */
static void test_visit_deep(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        struct rlimit before;
        int total = 0;

        add_hierarchy(&set, state, "v1", CGROUP_SYSTEMD);
        int fd = open(set.directories[0].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < 200; i++) {
                _cleanup_close_ int sibling = open_directory_at(fd, "sibling", true, 0755);
                int child = open_directory_at(fd, "child", true, 0755);

                assert_true(child >= 0 && sibling >= 0);
                assert_int_equal(file_replace_at(sibling, "cgroup.procs", "1\n", 2, 0644), 0);
                close(fd);
                fd = child;
        }
        assert_int_equal(file_replace_at(fd, "cgroup.procs", "1000\n", 5, 0644), 0);
        close(fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, before.rlim_max }), 0);
        int r = cgroup_visit(&set, sum, &total);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, 201);
        assert_int_equal(total, 1200);
}

static void test_kill(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *at_once = NULL;
        char members[64];
        int status;

        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        add_hierarchy(&set, state, "unified", CGROUP_UNIFIED);
        make_file(set.directories[0].path, "cgroup.kill", "");
        /* Ourselves, who clean up, too: we live on. */
        snprintf(members, sizeof(members), "%d\n%d\n", (int) getpid(), (int) pid);
        make_file(set.directories[0].path, "cgroup.procs", members);
        assert_int_equal(cgroup_kill(&set), 2);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        at_once = read_file(set.directories[0].path, "cgroup.kill");
        assert_string_equal(at_once, "1");
}

static void test_wait_empty(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };

        /* Version 1 cannot tell, and neither can what is not there. */
        add_hierarchy(&set, state, "memory", CGROUP_MEMORY);
        assert_false(cgroup_wait_empty(&set, USEC_INFINITY));
        add_hierarchy(&set, state, "unified", CGROUP_UNIFIED);
        assert_false(cgroup_wait_empty(&set, USEC_INFINITY));

        make_file(set.directories[1].path, "cgroup.events", "populated 1\nfrozen 0\n");
        assert_false(cgroup_wait_empty(&set, 0));
        make_file(set.directories[1].path, "cgroup.events", "populated 0\nfrozen 0\n");
        assert_true(cgroup_wait_empty(&set, USEC_INFINITY));
}

static void test_remove(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *parent = NULL;

        make_directory(*state, "h");
        assert_int_equal(string_printf(&parent, "%s/h/nspawn-runner", (char *) *state), 0);
        assert_int_equal(mkdir(parent, 0755), 0);
        make_directory(parent, "job");
        set.directories[set.n] = (CgroupDirectory){ .flags = CGROUP_UNIFIED };
        assert_int_equal(string_printf(&set.directories[set.n++].path, "%s/job", parent), 0);
        make_directory(set.directories[0].path, "payload");
        make_directory(set.directories[0].path, "supervisor");

        /* Not empty: the error is told, and the parent stays. */
        make_file(set.directories[0].path, "member", "");
        assert_int_equal(cgroup_remove(&set), -ENOTEMPTY);
        assert_int_equal(access(parent, F_OK), 0);

        _cleanup_free_ char *member = NULL;
        assert_int_equal(string_printf(&member, "%s/member", set.directories[0].path), 0);
        assert_int_equal(unlink(member), 0);
        assert_int_equal(cgroup_remove(&set), 0);
        assert_int_equal(access(parent, F_OK), -1); /* with its last child */
        assert_int_equal(cgroup_remove(&set), 0);
}

static void test_memory(void **state) {
        static const struct {
                const char *hierarchy;
                unsigned flags;
                const char *file, *content;
                bool kills;
                int result;
                uint64_t value;
        } table[] = {
                { "v2", CGROUP_UNIFIED, "memory.current", "4096\n", false, 0, 4096 },
                { "v2-none", CGROUP_UNIFIED, "memory.stat", "", false, -ENODATA, 0 },
                { "v2-odd", CGROUP_UNIFIED, "memory.current", "much\n", false, -ENODATA, 0 },
                { "v1", CGROUP_MEMORY, "memory.usage_in_bytes", "8192\n", false, 0, 8192 },
                { "v1-pids", CGROUP_PIDS, "memory.usage_in_bytes", "8192\n", false, -ENODATA, 0 },
                { "v2-events", CGROUP_UNIFIED, "memory.events", "low 0\nhigh 9\nmax 8\noom 7\noom_kill 3\n", true, 0,
                  3 },
                { "v2-events-group", CGROUP_UNIFIED, "memory.events", "oom 7\noom_kill 0\noom_group_kill 1\n", true, 0,
                  0 },
                { "v2-no-events", CGROUP_UNIFIED, "memory.events", "low 0\n", true, -ENODATA, 0 },
                { "v1-control", CGROUP_MEMORY, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                  true, 0, 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_cgroup_set_ CgroupSet set = { 0 };
                uint64_t value = 0;

                add_hierarchy(&set, state, table[i].hierarchy, table[i].flags);
                make_file(set.directories[0].path, table[i].file, table[i].content);
                int r = table[i].kills ? cgroup_oom_kills(&set, &value) : cgroup_memory_bytes(&set, &value);
                assert_row(r == table[i].result, i, table[i].hierarchy);
                assert_row(r < 0 || value == table[i].value, i, table[i].hierarchy);
        }
}

/* The real ones of this process, if the host has any. */
static void test_of_process(_unused_ void **state) {
        _cleanup_cgroup_set_ CgroupSet mine = { 0 }, same = { 0 }, none = { 0 };

        int r = cgroup_of_process(0, &mine);
        if (r == -EOPNOTSUPP) {
                print_message("no control groups are mounted\n");
                skip();
        }
        assert_int_equal(r, 0);
        assert_true(mine.n > 0);
        assert_int_equal(cgroup_of_process(getpid(), &same), 0);
        assert_int_equal(same.n, mine.n);
        for (size_t i = 0; i < mine.n; i++) {
                assert_string_equal(mine.directories[i].path, same.directories[i].path);
                assert_int_equal(mine.directories[i].path[0], '/');
                assert_true(mine.directories[i].flags != 0);
        }

        /* A process that has ended, and is not reaped yet: its number is nobody else's. */
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(cgroup_of_process(pid, &none), -ESRCH);
}

static void test_names(_unused_ void **state) {
        _cleanup_cgroup_set_ CgroupSet parent = { 0 }, job = { 0 }, unit = { 0 };

        int r = cgroup_below(CGROUP_DETACHED, "nspawn-runner-job-7", &job);
        if (r == -EOPNOTSUPP) {
                print_message("no control groups are mounted\n");
                skip();
        }
        assert_int_equal(r, 0);
        assert_int_equal(cgroup_below(CGROUP_DETACHED, NULL, &parent), 0);
        assert_int_equal(
                cgroup_of_container(CGROUP_MACHINES, "machine-not_there.slice", "nspawn-runner-job-7.service", &unit),
                0);
        assert_int_equal(job.n, parent.n);
        for (size_t i = 0; i < job.n; i++) {
                assert_non_null(endswith(parent.directories[i].path, "/nspawn-runner"));
                assert_non_null(endswith(job.directories[i].path, "/nspawn-runner/nspawn-runner-job-7"));
                assert_non_null(endswith(unit.directories[i].path, "/machine.slice/nspawn-runner-job-7.service"));
                assert_true(access(parent.directories[i].path, F_OK) < 0 || cgroup_exists(&parent));
                /* each hierarchy once */
                for (size_t j = 0; j < i; j++)
                        assert_true(job.directories[i].flags != job.directories[j].flags);
        }
}

/* Which limit was reached: that of the group alone, or also those of groups below. */
static void test_exceeded(void **state) {
        _cleanup_cgroup_set_ CgroupSet v2 = { 0 }, v1 = { 0 }, none = { 0 };
        uint64_t all = 1, own = 1;

        add_hierarchy(&none, state, "none", CGROUP_UNIFIED);
        assert_int_equal(cgroup_memory_exceeded(&none, &all, &own), -ENODATA);
        assert_int_equal(cgroup_tasks_refused_own(&none, &own), -ENODATA);
        add_hierarchy(&v2, state, "v2", CGROUP_UNIFIED);
        make_file(v2.directories[0].path, "memory.events", "low 0\nhigh 9\nmax 8\noom 7\noom_kill 3\n");
        make_file(v2.directories[0].path, "memory.events.local", "low 0\nhigh 0\nmax 2\noom 2\noom_kill 0\n");
        make_file(v2.directories[0].path, "pids.events.local", "max 5\n");
        assert_int_equal(cgroup_memory_exceeded(&v2, &all, &own), 0);
        assert_true(all == 7 && own == 2);
        assert_int_equal(cgroup_tasks_refused_own(&v2, &own), 0);
        assert_int_equal(own, 5);
        add_hierarchy(&v1, state, "v1", CGROUP_MEMORY);
        make_file(v1.directories[0].path, "memory.failcnt", "6\n");
        assert_int_equal(cgroup_memory_exceeded(&v1, &all, &own), 0);
        assert_true(all == 6 && own == 6);
}

/* What the groups below counted belongs to it. */
static void test_refused(void **state) {
        _cleanup_cgroup_set_ CgroupSet set = { 0 };
        _cleanup_free_ char *below = NULL;
        uint64_t refused = 1;

        add_hierarchy(&set, state, "v2", CGROUP_UNIFIED);
        assert_int_equal(cgroup_tasks_refused(&set, &refused), -ENODATA);
        make_file(set.directories[0].path, "pids.events", "max 5\n");
        make_directory(set.directories[0].path, "below");
        assert_int_equal(string_printf(&below, "%s/below", set.directories[0].path), 0);
        make_directory(below, "without");
        make_file(below, "pids.events", "max 20\n");
        assert_int_equal(cgroup_tasks_refused(&set, &refused), 0);
        assert_int_equal(refused, 25);

        /* What cannot be counted to the end is not known. */
        failing_readdir(1, EIO);
        int r = cgroup_tasks_refused(&set, &refused);
        failing_readdir(0, 0);
        assert_int_equal(r, -ENODATA);
        assert_int_equal(refused, 25);
}

/* The number of this process, each time from the file's beginning: a kernel's file takes no other offset. */
static void test_warm(void **state) {
        _cleanup_free_ char *text = NULL, *pid = NULL;

        make_file(*state, "cgroup.procs", "");
        _cleanup_free_ char *path = NULL;
        assert_int_equal(string_printf(&path, "%s/cgroup.procs", (const char *) *state), 0);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        cgroup_warm(fd);
        cgroup_warm(fd);
        text = read_file(*state, "cgroup.procs");
        assert_int_equal(string_printf(&pid, "%d", (int) getpid()), 0);
        assert_string_equal(text, pid);
}

static size_t count_threads(void) {
        _cleanup_close_ int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_strv_ char **names = NULL;

        assert_int_equal(directory_names(fd, &names), 0);
        return strv_length(names);
}

/* With the kernel: the process stays where it is. */
static void test_warm_own(_unused_ void **state) {
        _cleanup_free_ char *before = NULL, *after = NULL, *link = NULL, *file = NULL;

        _cleanup_close_ int fd = cgroup_warm_open();
        if (fd < 0) {
                print_message("this process may not write to its control group\n");
                skip();
        }
        assert_int_equal(string_printf(&link, "/proc/self/fd/%d", fd), 0);
        file = realpath(link, NULL);
        assert_non_null(file);
        assert_non_null(endswith(file, "/cgroup.procs"));
        assert_int_equal(file_read_at(AT_FDCWD, "/proc/self/cgroup", 65536, &before, NULL), 0);
        cgroup_warm(fd);
        cgroup_warm_behind();
        while (count_threads() > 1)
                clock_sleep_usec(USEC_PER_MSEC);
        assert_int_equal(file_read_at(AT_FDCWD, "/proc/self/cgroup", 65536, &after, NULL), 0);
        assert_string_equal(after, before);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup_directory, teardown_directory)

static const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(test_limits),
        WITH_DIRECTORY(test_limits_hybrid),
        WITH_DIRECTORY(test_enter),
        WITH_DIRECTORY(test_born),
        WITH_DIRECTORY(test_delegate),
        WITH_DIRECTORY(test_visit),
        WITH_DIRECTORY(test_visit_unreadable),
        WITH_DIRECTORY(test_visit_deep),
        WITH_DIRECTORY(test_kill),
        WITH_DIRECTORY(test_wait_empty),
        WITH_DIRECTORY(test_remove),
        WITH_DIRECTORY(test_memory),
        cmocka_unit_test(test_of_process),
        cmocka_unit_test(test_names),
        WITH_DIRECTORY(test_bound),
        WITH_DIRECTORY(test_limited),
        WITH_DIRECTORY(test_warm),
        cmocka_unit_test(test_warm_own),
        WITH_DIRECTORY(test_exceeded),
        WITH_DIRECTORY(test_refused),
};
UNIT_FILE(tests);
