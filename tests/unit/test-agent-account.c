/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "\n"
                             "# a comment\n"
                             "broken line\n"
                             "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                             "build:x:1000:100:Build,,,:/home/build:/bin/sh\n"
                             "homeless:x:1001:100:::\n"
                             "1002:x:1003:100:a name of digits:/home/digits:/bin/sh\n";

static const char group[] = "root:x:0:\n"
                            "wheel:x:10:root,build\n"
                            "users:x:100:\n"
                            "broken\n"
                            "docker:x:998:homeless,build,build\n";

static void write_file(const char *directory, const char *name, const char *text, char **ret) {
        assert_int_equal(string_printf(ret, "%s/%s", directory, name), 0);
        _cleanup_close_ int fd = open(*ret, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void check_groups(const Account *account, const char *expected, size_t i) {
        char text[64] = "";

        for (size_t n = 0; n < account->n_groups; n++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", n ? " " : "", account->groups[n]);
        assert_row(streq(text, expected), i, text);
}

static void test_find(void **state) {
        static const struct {
                const char *user;
                int result;
                unsigned uid, gid;
                const char *groups, *name, *home;
        } table[] = {
                { "root", 0, 0, 0, "10", "root", "/root" },
                { "0", 0, 0, 0, "10", "root", "/root" },
                { "build", 0, 1000, 100, "10 998", "build", "/home/build" },
                { "1000", 0, 1000, 100, "10 998", "build", "/home/build" },
                { "build:", 0, 1000, 100, "10 998", "build", "/home/build" },
                { "build:docker", 0, 1000, 998, "", "build", "/home/build" },
                { "build:7", 0, 1000, 7, "", "build", "/home/build" },
                { "homeless", 0, 1001, 100, "998", "homeless", "/" },
                { "54321", 0, 54321, 0, "", "54321", "/" },
                { "54321:12345", 0, 54321, 12345, "", "54321", "/" },
                { "4294967294", 0, 4294967294, 0, "", "4294967294", "/" },
                { ":users", 0, 0, 100, "", "root", "/root" },
                { "4294967295", -ESRCH, 0, 0, "", "", "" },
                { "-1", -ESRCH, 0, 0, "", "", "" },
                { "nobody", -ESRCH, 0, 0, "", "", "" },
                { "broken line", -ESRCH, 0, 0, "", "", "" },
                { "build:nogroup", -ESRCH, 0, 0, "", "", "" },
                { "nobody:users", -ESRCH, 0, 0, "", "", "" },
        };
        _cleanup_free_ char *passwd_path = NULL, *group_path = NULL;

        write_file(*state, "passwd", passwd, &passwd_path);
        write_file(*state, "group", group, &group_path);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_account_ Account account = { .uid = 4711 };

                assert_row(account_find(table[i].user, passwd_path, group_path, &account) == table[i].result, i,
                           table[i].user);
                if (table[i].result < 0) {
                        assert_int_equal(account.uid, 4711);
                        continue;
                }
                assert_row(account.uid == table[i].uid && account.gid == table[i].gid, i, table[i].user);
                assert_row(streq(account.name, table[i].name), i, account.name);
                assert_row(streq(account.home, table[i].home), i, account.home);
                check_groups(&account, table[i].groups, i);
        }
}

/* Images of a single static program have neither file. */
static void test_no_files(_unused_ void **state) {
        _cleanup_account_ Account root = { .uid = 4711 }, number = { 0 }, none = { 0 };

        assert_int_equal(account_find("root", "/no/passwd", "/no/group", &root), 0);
        assert_int_equal(root.uid, 0);
        assert_string_equal(root.home, "/root");
        assert_int_equal(account_find("1000:1000", "/no/passwd", "/no/group", &number), 0);
        assert_int_equal(number.uid, 1000);
        assert_int_equal(number.gid, 1000);
        assert_int_equal(account_find("build", "/no/passwd", "/no/group", &none), -ESRCH);
}

/* A job can make one: who waited at it would wait for ever. */
static void test_pipe(void **state) {
        _cleanup_account_ Account none = { 0 };
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/passwd", (char *) *state), 0);
        assert_int_equal(mkfifo(path, 0644), 0);
        assert_int_equal(account_find("build", path, path, &none), -ESRCH);
}

/* Nor does it read for ever, or fill the memory. */
static void test_endless(void **state) {
        _cleanup_account_ Account none = { 0 };
        _cleanup_free_ char *path = NULL;

        write_file(*state, "passwd", passwd, &path);
        assert_int_equal(truncate(path, INT64_C(1) << 40), 0);
        assert_int_equal(account_find("build", path, path, &none), -ESRCH);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, setup_directory, teardown_directory),
        cmocka_unit_test(test_no_files),
        cmocka_unit_test_setup_teardown(test_pipe, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_endless, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
