/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/string.h"
#include "container/uid-range.h"
#include "files.h"

static void test_known_to_host(_unused_ void **state) {
        static const struct {
                const char *file, *content;
                bool known; /* in 1000000 to 1196607 */
        } table[] = {
                { "passwd", "root:x:0:0:root:/root:/bin/sh\nu:x:999999:1000000::/:/bin/sh\n", false },
                { "passwd", "u:x:1000000:100::/:/bin/sh\n", true },
                { "passwd", "root:x:0:0:::\nu:x:1196607:100::/:/bin/sh\n", true },
                { "passwd", "u:x:1196608:100::/:/bin/sh\n", false },
                /* without a password, and a line like none other */
                { "passwd", "u::1000000:100::/:/bin/sh\n", true },
                { "passwd", "+::::::\nnonsense\n\n::\nu::1000000", true },
                { "group", "g:x:1100000:u,v\n", true },
                { "group", "g:x:1196608:1100000\n", false },
                { "subuid", "u:100000:65536\nv:165536:65536\n", false },
                { "subuid", "u:934464:65536\n", false },
                { "subuid", "u:934464:65537\n", true },
                { "subuid", "u:1196607:1\n", true },
                { "subuid", "u:1196608:65536\n", false },
                { "subuid", "u:0:4294967295\n", true },
                { "subuid", "u:1100000:0\n", false },
                { "subuid", "u:1100000:\nu:1100000\nu::5\n:\n", false },
                { "subgid", "u:1000000:65536\n", true },
                { "subgid", "u:18446744073709551615:18446744073709551615\n", false },
                { "shadow", "u:1000000:1000000:\n", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char directory[] = "/tmp/test-uid-range-XXXXXX";
                _cleanup_free_ char *path = NULL;

                assert_non_null(mkdtemp(directory));
                assert_int_equal(string_printf(&path, "%s/%s", directory, table[i].file), 0);
                FILE *f = fopen(path, "we");
                assert_non_null(f);
                fputs(table[i].content, f);
                assert_int_equal(fclose(f), 0);
                assert_row(uid_range_is_known(directory, 1000000, 196608) == table[i].known, i, table[i].content);
                assert_int_equal(remove_tree_at(AT_FDCWD, directory), 0);
        }
        assert_false(uid_range_is_known("/nonexistent", 1000000, 196608));
}

/* A line of a group with many members is one line. */
static void test_long_line(_unused_ void **state) {
        char directory[] = "/tmp/test-uid-range-XXXXXX";
        _cleanup_free_ char *path = NULL;

        assert_non_null(mkdtemp(directory));
        assert_int_equal(string_printf(&path, "%s/group", directory), 0);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs("many:x:5:", f);
        for (unsigned i = 0; i < 5000; i++)
                fprintf(f, "a:b:1000000:,");
        fputs("\n", f);
        assert_int_equal(fclose(f), 0);
        assert_false(uid_range_is_known(directory, 1000000, 196608));
        assert_int_equal(remove_tree_at(AT_FDCWD, directory), 0);
}

/* What cannot be read may name anybody. */
static void test_unreadable(void **state) {
        static const char *const names[] = { "passwd", "group", "subuid", "subgid" };
        _cleanup_close_ int dir_fd = open_directory(state);
        struct rlimit before;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_int_equal(symlinkat(names[i], dir_fd, names[i]), 0); /* a loop */
                assert_row(uid_range_is_known(*state, 1000000, 196608), i, names[i]);
                assert_int_equal(unlinkat(dir_fd, names[i], 0), 0);
                assert_int_equal(mkdirat(dir_fd, names[i], 0755), 0); /* can be opened, but not read */
                assert_row(uid_range_is_known(*state, 1000000, 196608), i, names[i]);
                assert_int_equal(unlinkat(dir_fd, names[i], AT_REMOVEDIR), 0);
                assert_false(uid_range_is_known(*state, 1000000, 196608));
        }
        make_file(dir_fd, "passwd", "u:x:1:100::/:/bin/sh\n", 0644);
        assert_false(uid_range_is_known(*state, 1000000, 196608));
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
        bool known = uid_range_is_known(*state, 1000000, 196608);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(known);
}

static void test_width(_unused_ void **state) {
        static const uint64_t wrong[] = { 0, 1, 65535, 65537, 100000, 4194304 + 65536, UINT64_MAX };
        UidRange range = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(uid_range_acquire("m", wrong[i], &range), -EINVAL);
        uid_range_release(&range);
}

/* Whose a lock is can be read in its file, also if it was another's before. */
static void test_holder_root(_unused_ void **state) {
        UidRange range;
        char path[64], text[64] = "";

        if (geteuid() != 0)
                skip();
        for (int i = 0; i < 2; i++) {
                const char *holder = i == 0 ? "test-uid-range-with-a-long-name" : "test-uid-range";

                assert_int_equal(uid_range_acquire(holder, UID_BLOCK, &range), 0);
                assert_int_equal(range.n_locks, 1);
                snprintf(path, sizeof(path), "/run/systemd/nspawn-uid/%u", range.base);
                FILE *f = fopen(path, "re");
                assert_non_null(f);
                assert_non_null(fgets(text, sizeof(text), f));
                fclose(f);
                text[strcspn(text, "\n")] = '\0';
                assert_string_equal(text, holder);
                uid_range_release(&range);
                assert_int_equal(access(path, F_OK), -1);
        }
}

/* From now on, this process cannot lock anything in the way of systemd-nspawn. */
static int forbid_locks(void) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])), /* little-endian */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_OFD_SETLK, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(filter), .filter = filter };

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* In a process of its own, with a directory of its own for the locks: one is held, one is not, and one file is none. */
static int collect_own(void) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (mkdir_parents("/run/systemd", 0755) < 0 || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run/systemd", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd/nspawn-uid", 0755) < 0 ||
            chdir("/run/systemd/nspawn-uid") < 0)
                return 10;
        int free_fd = open("524288", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        int held_fd = open("589824", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        int other_fd = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (free_fd < 0 || held_fd < 0 || other_fd < 0 || fcntl(held_fd, F_OFD_SETLK, &lock) < 0)
                return 11;
        pid_t pid = fork();
        if (pid == 0)
                _exit(forbid_locks() < 0 || uid_range_collect(true) != 1);
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0 || access("524288", F_OK) < 0)
                return 12;
        return uid_range_collect(false) == 1 && access("524288", F_OK) < 0 && access("589824", F_OK) == 0 ? 0 : 13;
}

/* Whoever only counts what was left locks nothing, or others, who would remove it just then, would leave it. */
static void test_collect_root(_unused_ void **state) {
        int status;

        if (geteuid() != 0)
                skip();
        pid_t pid = fork();
        if (pid == 0)
                _exit(collect_own());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_true(WIFEXITED(status));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_to_host),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test_setup_teardown(test_unreadable, setup_directory, teardown_directory),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_holder_root),
        cmocka_unit_test(test_collect_root),
};
UNIT_FILE(tests);
