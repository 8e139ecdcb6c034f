/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "container/nspawn.h"

#define FIXED                                                                                                \
        "systemd-nspawn", "--quiet", "--keep-unit", "--console=pipe", "--link-journal=no", "--timezone=off", \
                "--resolv-conf=off"
#define NAMES "--directory=/r", "--machine=m", "--uuid=11111111-2222-4333-8444-555555555555"
#define AGENT "--bind-ro=/lib/agent:/run/nspawn-runner-agent"
#define COMMAND "--", "/run/nspawn-runner-agent", "first"

/* A machine with nothing special; the directory's name has what systemd-nspawn would take for more than a name. */
#define MACHINE_OF(supervisor_name, agent)                                                                             \
        .name = (char *) "m", .uuid = (char *) "11111111-2222-4333-8444-555555555555", .agent_path = (char *) (agent), \
        .supervisor = (char *) (supervisor_name), .directory = (char *) "/j:1", .image = (char *) "a",                 \
        .builds_dir = (char *) "/builds"
#define MACHINE MACHINE_OF("detached", "/lib/agent")

#define STRINGS(...) ((char *[]){ __VA_ARGS__, NULL })

static void check(size_t row, const char *const *expected, char *const *actual) {
        size_t i;

        for (i = 0; expected[i] && actual[i]; i++)
                assert_row(streq(expected[i], actual[i]), row, actual[i]);
        assert_row(!expected[i], row, expected[i]);
        assert_row(!actual[i], row, actual[i]);
}

static void test_arguments(_unused_ void **state) {
        const struct {
                Machine machine;
                uid_t uid_base;
                const char *arguments[32];
        } table[] = {
                { { MACHINE },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    COMMAND } },
                /* without a user namespace, the base does not matter */
                { { MACHINE },
                  65536,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    COMMAND } },
                { { MACHINE_OF("systemd", "/lib/agent") },
                  0,
                  { FIXED, "--register=yes", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    COMMAND } },
                { { MACHINE, .settings.private_users = true, .settings.uid_range = 196608 },
                  524288,
                  { FIXED, "--register=no", NAMES, "--private-users=524288:196608", "--private-users-ownership=off",
                    AGENT, COMMAND } },
                /* the highest range there is */
                { { MACHINE, .settings.private_users = true, .settings.uid_range = 65536 },
                  4294901760,
                  { FIXED, "--register=no", NAMES, "--private-users=4294901760:65536", "--private-users-ownership=off",
                    AGENT, COMMAND } },
                { { MACHINE, .settings.network = NETWORK_NONE },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD",
                    "--private-network", AGENT, COMMAND } },
                { { MACHINE, .settings.network = NETWORK_PRIVATE },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD",
                    "--private-network", AGENT, COMMAND } },
                { { MACHINE, .init = (char *) "/usr/lib/systemd/systemd" },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT, COMMAND,
                    "/usr/lib/systemd/systemd" } },
                { { MACHINE, .init = (char *) "/usr/lib/systemd/systemd", .lazy = true },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT, "--",
                    "/run/nspawn-runner-agent", "lazy", "/usr/lib/systemd/systemd" } },
                /* what is to start is not there to wait for its first use */
                { { MACHINE, .init = (char *) "/usr/lib/systemd/systemd", .lazy = true,
                    .boot_target = (char *) "multi-user.target" },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT, COMMAND,
                    "/usr/lib/systemd/systemd", "multi-user.target" } },
                /* somebody at a terminal */
                { { MACHINE, .hostname = (char *) "image", .interactive = true },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD",
                    "--hostname=image", "--drop-capability=CAP_SYS_BOOT", AGENT, COMMAND } },
                /* the filter is the agent's to install, and limits are the unit's */
                { { MACHINE, .seccomp_filter = (char *) "/f.bpf", .settings.memory_max.bytes = 1,
                    .settings.tasks_max = 1, .settings.shell = (char *) "/bin/sh" },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    COMMAND } },
                /* what `supervise` prepared, by numbers; sources are never handed over */
                { { MACHINE, .settings.bind = STRINGS((char *) "/a", (char *) "/b:/c"),
                    .settings.bind_ro = STRINGS((char *) "/d") },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    "--bind=/j\\:1/binds/0:/a", "--bind=/j\\:1/binds/1:/c", "--bind-ro=/j\\:1/binds/2:/d", COMMAND } },
                { { MACHINE, .settings.private_users = true, .settings.uid_range = 65536,
                    .settings.bind_ro = STRINGS((char *) "/d", (char *) "/e:/f\\g h") },
                  65536,
                  { FIXED, "--register=no", NAMES, "--private-users=65536:65536", "--private-users-ownership=off",
                    AGENT, "--bind-ro=/j\\:1/binds/0:/d", "--bind-ro=/j\\:1/binds/1:/f\\\\g h", COMMAND } },
                /* of what is missing in /run, the topmost directory is ours */
                { { MACHINE,
                    .settings.bind = STRINGS((char *) "/a:/run/x/y/z", (char *) "/b:/run/b", (char *) "/c:/run/c"),
                    .settings.bind_ro = STRINGS((char *) "/d:/run/x/d", (char *) "/e:/run/c/e",
                                                (char *) "/f:/run/host/f") },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    "--bind=/j\\:1/binds/run-x:/run/x", "--bind=/j\\:1/binds/0:/run/x/y/z",
                    "--bind=/j\\:1/binds/1:/run/b", "--bind=/j\\:1/binds/2:/run/c", "--bind-ro=/j\\:1/binds/3:/run/x/d",
                    "--bind-ro=/j\\:1/binds/4:/run/c/e", "--bind-ro=/j\\:1/binds/5:/run/host/f", COMMAND } },
                /* volumes come last, and are writable */
                { { MACHINE, .settings.bind = STRINGS((char *) "/a"), .settings.bind_ro = STRINGS((char *) "/b"),
                    .volumes = STRINGS((char *) "/c/data\n/cache:1\nlocked", (char *) "/d/data\n/run/x/y\n") },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    "--bind=/j\\:1/binds/run-x:/run/x", "--bind=/j\\:1/binds/0:/a", "--bind-ro=/j\\:1/binds/1:/b",
                    "--bind=/j\\:1/binds/2:/cache\\:1", "--bind=/j\\:1/binds/3:/run/x/y", COMMAND } },
                /* programs of the host, by their names: not by their paths on the host */
                { { MACHINE, .bash_path = (char *) "/usr/bin/bash-static", .runner_path = (char *) "/opt/runner",
                    .settings.bind = STRINGS((char *) "/a") },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    "--bind-ro=/j\\:1/tools/bash:/run/nspawn-runner-tools/bash",
                    "--bind-ro=/j\\:1/tools/gitlab-runner:/run/nspawn-runner-tools/bin/gitlab-runner",
                    "--bind=/j\\:1/binds/0:/a", COMMAND } },
                /* and the root of a helper image, which is not handed over by its path, either */
                { { MACHINE, .helper_path = (char *) "/images/helper" },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD", AGENT,
                    "--bind=/j\\:1/helper:/run/nspawn-runner-helper", COMMAND } },
                /* a colon in our own path separates nothing */
                { { MACHINE_OF("detached", "/a:b\\c d") },
                  0,
                  { FIXED, "--register=no", NAMES, "--private-users=no", "--drop-capability=CAP_MKNOD",
                    "--bind-ro=/a\\:b\\\\c d:/run/nspawn-runner-agent", COMMAND } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **arguments = NULL;

                assert_int_equal(nspawn_arguments(&table[i].machine, "/r", table[i].uid_base, &arguments), 0);
                check(i, table[i].arguments, arguments);
        }
}

/* Every combination of what decides about single arguments: each is there exactly when it should be. */
static void test_combinations(_unused_ void **state) {
        enum { SYSTEMD = 1, USERS = 2, NONE = 4, BOOT = 8, SECCOMP = 16, BINDS = 32, REGISTRY = 64, ALL = 128 };
        static const struct {
                const char *argument;
                unsigned flag; /* there when it is set, or, if inverted, when it is not */
                bool inverted;
        } table[] = {
                { "--register=yes", SYSTEMD, false },
                { "--register=no", SYSTEMD, true },
                { "--private-users=131072:65536", USERS, false },
                { "--private-users-ownership=off", USERS, false },
                { "--private-users=no", USERS, true },
                { "--private-network", NONE, false },
                { "--resolv-conf=off", 0, true },
                { "/sbin/init", BOOT, false },
                { "LISTEN_FDS=2", SECCOMP, false },
                { "LISTEN_FDS=1", SECCOMP, true },
                { "--keep-unit", 0, true },
                { "--link-journal=no", 0, true },
                { AGENT, 0, true },
                { "SYSTEMD_SECCOMP=0", 0, true },
                { "SYSTEMD_NSPAWN_LOCK=0", 0, true },
                { "LD_PRELOAD=/lib/userns.so", USERS, false },
                { "NSPAWN_RUNNER_USERNS_OWNER=131072", USERS, false },
                { "SYSTEMD_NSPAWN_TMPFS_TMP=0", 0, true },
                { "--setenv=NSPAWN_RUNNER_OF_REGISTRY=/builds", REGISTRY, false },
        };

        for (unsigned flags = 0; flags < ALL; flags++) {
                Machine machine = {
                        MACHINE_OF(flags & SYSTEMD ? "systemd" : "detached", "/lib/agent"),
                        .settings.private_users = flags & USERS,
                        .settings.uid_range = 65536,
                        .preload = (char *) "/lib/userns.so",
                        .settings.network = flags & NONE ? NETWORK_NONE : NETWORK_HOST,
                        .init = flags & BOOT ? (char *) "/sbin/init" : NULL,
                        .seccomp_filter = flags & SECCOMP ? (char *) "/filter" : NULL,
                        .settings.bind = flags & BINDS ? STRINGS((char *) "/bind") : NULL,
                };
                _cleanup_strv_ char **arguments = NULL, **environment = NULL;

                if (flags & REGISTRY)
                        machine.image = (char *) "registry.example/a:1";
                assert_int_equal(nspawn_arguments(&machine, "/r", 131072, &arguments), 0);
                assert_int_equal(nspawn_environment(&machine, 131072, &environment), 0);
                for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                        unsigned found = 0;

                        for (char **s = arguments; *s; s++)
                                found += streq(*s, table[i].argument);
                        for (char **s = environment; *s; s++)
                                found += streq(*s, table[i].argument);
                        assert_row(found == (!(flags & table[i].flag) == table[i].inverted), i, table[i].argument);
                }
                /* The command comes last, after the end of options. */
                size_t n = strv_length(arguments), n_command = flags & BOOT ? 4 : 3;
                assert_string_equal(arguments[n - n_command], "--");
                assert_string_equal(arguments[n - n_command + 1], "/run/nspawn-runner-agent");
                assert_string_equal(arguments[n - n_command + 2], "first");
        }
}

static void test_environment(_unused_ void **state) {
        static const struct {
                const char *filter;
                NetworkMode network;
                const char *environment[8];
        } table[] = {
                { NULL,
                  NETWORK_HOST,
                  { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                    "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_TMPFS_TMP=0", "LISTEN_FDS=1" } },
                { "/filter",
                  NETWORK_NONE,
                  { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                    "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_TMPFS_TMP=0", "LISTEN_FDS=2" } },
                /* and the socket by which it asks for its interface */
                { "/filter",
                  NETWORK_PRIVATE,
                  { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                    "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_TMPFS_TMP=0", "LISTEN_FDS=3" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Machine machine = { MACHINE, .seccomp_filter = (char *) table[i].filter,
                                    .settings.network = table[i].network };
                _cleanup_strv_ char **environment = NULL;

                assert_int_equal(nspawn_environment(&machine, 131072, &environment), 0);
                check(i, table[i].environment, environment);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_environment),
};
UNIT_FILE(tests);
