/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/seccomp.h"

/* As `systemd-analyze syscall-filter` prints it. */
static const char listing[] = "@default\n"
                              "    # System calls that are always permitted\n"
                              "    getpid\n"
                              "    exit_group\n"
                              "\n"
                              "@outer\n"
                              "    # Groups in groups\n"
                              "    read\n"
                              "    @inner\n"
                              "    write\n"
                              "\n"
                              "@inner\n"
                              "    # the innermost\n"
                              "    openat\n"
                              "    @default\n"
                              "\n"
                              "@empty\n"
                              "    # nothing in it\n"
                              "\n"
                              "@dangling\n"
                              "    close\n"
                              "    @nowhere\n"
                              "\n"
                              "@loop\n"
                              "    dup\n"
                              "    @pool\n"
                              "\n"
                              "@pool\n"
                              "    @loop\n"
                              "\n"
                              "@self\n"
                              "    @self\n"
                              "\n"
                              "# Ungrouped System Calls (known but not included in any of the groups except @known):\n"
                              "#    lookup_dcookie\n"
                              "\n"
                              "@last\n"
                              "    last_one";

static int collect(const char *name, void *userdata) {
        return strv_extend(userdata, name);
}

static void test_expand(_unused_ void **state) {
        static const struct {
                const char *item;
                int result;
                const char *names[8];
        } table[] = {
                { "getpid", 0, { "getpid" } },
                { "no_such_call", 0, { "no_such_call" } }, /* whether it exists is for libseccomp to say */
                { "@default", 0, { "getpid", "exit_group" } },
                { "@outer", 0, { "read", "openat", "getpid", "exit_group", "write" } },
                { "@inner", 0, { "openat", "getpid", "exit_group" } },
                { "@empty", 0, { NULL } },
                { "@last", 0, { "last_one" } },
                { "@dangling", -ENOENT, { NULL } },
                { "@nowhere", -ENOENT, { NULL } },
                { "@", -ENOENT, { NULL } },
                { "@def", -ENOENT, { NULL } },
                { "@default2", -ENOENT, { NULL } },
                { "@loop", -ELOOP, { NULL } },
                { "@pool", -ELOOP, { NULL } },
                { "@self", -ELOOP, { NULL } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **names = NULL;
                size_t n = 0;

                assert_row(seccomp_expand(listing, table[i].item, collect, &names) == table[i].result, i,
                           table[i].item);
                if (table[i].result < 0)
                        continue;
                while (table[i].names[n])
                        n++;
                assert_row(strv_length(names) == n, i, table[i].item);
                for (size_t j = 0; j < n; j++)
                        assert_row(streq(names[j], table[i].names[j]), i, names[j]);
        }
}

static int stop_at_openat(const char *name, void *userdata) {
        ++*(unsigned *) userdata;
        return streq(name, "openat") ? -E2BIG : 0;
}

static void test_expand_stops(_unused_ void **state) {
        unsigned n = 0;

        assert_int_equal(seccomp_expand(listing, "@outer", stop_at_openat, &n), -E2BIG);
        assert_int_equal(n, 2);
        assert_int_equal(seccomp_expand("", "@default", stop_at_openat, &n), -ENOENT);
        assert_int_equal(seccomp_expand("\n\n", "@default", stop_at_openat, &n), -ENOENT);
        assert_int_equal(seccomp_expand("@default", "@default", stop_at_openat, &n), 0);
        assert_int_equal(n, 2);
}

/* Makes the filter; where that cannot be done, the test fails, saying why. */
static int prepare(const char *directory, char *const *allow, char **ret_path, Problem *reterr_problem) {
        int r = seccomp_filter_prepare(directory, allow, ret_path, reterr_problem);

        if (r == SECCOMP_NOT_INSTALLED)
                fail_msg("libseccomp or systemd-analyze is not installed: 'tools/install-deps run' installs them");
        return r;
}

static void test_prepare(void **state) {
        char *const allow[] = { (char *) "@keyring", (char *) "bpf", NULL };
        char *const other_order[] = { (char *) "bpf", (char *) "@keyring", NULL };
        _cleanup_free_ char *directory = NULL, *plain = NULL, *again = NULL, *more = NULL, *other = NULL;
        Problem problem = { 0 };
        struct stat st, later;

        assert_int_equal(string_printf(&directory, "%s/a/b", (char *) *state), 0);
        assert_int_equal(prepare(directory, NULL, &plain, &problem), 0);
        assert_non_null(startswith(plain, directory));
        assert_int_equal(stat(plain, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_true(st.st_size > 0 && (size_t) st.st_size % sizeof(struct sock_filter) == 0);
        assert_true((size_t) st.st_size / sizeof(struct sock_filter) <= BPF_MAXINSNS);

        /* The second time, it is there. */
        assert_int_equal(prepare(directory, NULL, &again, &problem), 0);
        assert_string_equal(again, plain);
        assert_int_equal(stat(again, &later), 0);
        assert_int_equal(later.st_ino, st.st_ino);

        /* What is allowed besides makes another one. */
        assert_int_equal(prepare(directory, allow, &more, &problem), 0);
        assert_string_not_equal(more, plain);
        assert_int_equal(prepare(directory, other_order, &other, &problem), 0);
        assert_int_equal(access(other, R_OK), 0);
        assert_string_equal(problem.text, "");
}

static void test_prepare_unknown(void **state) {
        static const char *const table[] = { "@no-such-group", "no_such_call", "@", "" };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *const allow[] = { (char *) "bpf", (char *) table[i], (char *) "read", NULL };
                Problem problem = { 0 };
                char *path = NULL;

                assert_row(prepare(*state, allow, &path, &problem) == -EINVAL, i, table[i]);
                _cleanup_free_ char *expected = NULL;
                assert_int_equal(
                        string_printf(&expected, "system_call_filter: there is no system call or group '%s'", table[i]),
                        0);
                assert_row(streq(problem.text, expected) && !path, i, problem.text);
        }
        /* Nothing was left, so that it is not found the next time. */
        assert_int_equal(rmdir(*state), 0);
        assert_int_equal(mkdir(*state, 0700), 0);
}

/* Puts this process under the filter for good. */
static int install(const char *path) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = file_read_at(AT_FDCWD, path, BPF_MAXINSNS * sizeof(struct sock_filter), &data, &size);
        if (r < 0)
                return r;
        struct sock_fprog program = { .len = (unsigned short) (size / sizeof(struct sock_filter)),
                                      .filter = (struct sock_filter *) data };
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                return -errno;
        return 0;
}

/* What is tried under the filter: each returns 0 or -errno. */
static int try_call(long number, long a, long b, long c) {
        return syscall(number, a, b, c, 0, 0, 0) < 0 ? -errno : 0;
}

static int try_getpid(void) {
        return try_call(SYS_getpid, 0, 0, 0);
}

static int try_keyctl(void) {
        return try_call(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -1, 0);
}

static int try_add_key(void) {
        return try_call(SYS_add_key, (long) "no-such-type", (long) "name", 0);
}

static int try_bpf(void) {
        return try_call(SYS_bpf, -1, 0, 0);
}

static int try_kexec(void) {
        return try_call(SYS_kexec_load, 0, 0, 0);
}

static int try_settime(void) {
        return try_call(SYS_clock_settime, CLOCK_REALTIME, 0, 0);
}

static int try_init_module(void) {
        return try_call(SYS_init_module, 0, 0, 0);
}

static int try_unknown(void) {
        return try_call(100000, 0, 0, 0);
}

static int try_socket(int family, int type, int protocol) {
        _cleanup_close_ int fd = socket(family, type | SOCK_CLOEXEC, protocol);
        return fd < 0 ? -errno : 0;
}

static int try_audit(void) {
        return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static int try_route(void) {
        return try_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}

static int try_unix(void) {
        return try_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int try_inet(void) {
        return try_socket(AF_INET, SOCK_STREAM, 0);
}

/* As a 32-bit program does: the i386 call @number. Returns 0 or -errno. */
static int try_i386(_unused_ long number, _unused_ long a, _unused_ long b, _unused_ long c) {
#if defined(__x86_64__)
        long result;

        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(number), "b"(a), "c"(b), "d"(c)
                         : "memory", "r8", "r9", "r10", "r11");
        return result < 0 ? (int) result : 0;
#else
        return -EPERM;
#endif
}

static int try_vsock(void) {
        return try_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int try_alg(void) {
        return try_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

/* socketcall(SYS_SOCKET, arguments): not even far enough to find that these are no arguments. */
static int try_socketcall(void) {
        return try_i386(102, 1, 0, 0);
}

static int try_socketcall_bind(void) {
        return try_i386(102, 2, 0, 0);
}

static int try_i386_vsock(void) {
        return try_i386(359, AF_VSOCK, SOCK_STREAM, 0);
}

static int try_i386_unix(void) {
        return try_i386(359, AF_UNIX, SOCK_STREAM, 0);
}

static int try_i386_keyctl(void) {
        return try_i386(288, 0, -1, 0);
}

static int try_io_uring(void) {
        return try_call(SYS_io_uring_setup, 0, 0, 0);
}

static int try_userfaultfd(void) {
        return try_call(SYS_userfaultfd, -1, 0, 0);
}

/* Of another family, the protocol's number means something else. */
static int try_protocol_of_audit(void) {
        return try_socket(AF_UNIX, SOCK_STREAM, NETLINK_AUDIT) == -EPROTONOSUPPORT ? 0 : -EIO;
}

static int try_program(void) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                execl("/bin/sh", "sh", "-c", "cd / && for i in $(ls /); do [ \"$i\" ] || exit 1; done", NULL);
                _exit(127);
        }
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -EIO;
}

static int try_memory_and_files(void) {
        _cleanup_close_ int fd = open("/", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        void *p = malloc(1 << 24);

        free(p);
        struct stat st;
        return p && stat("/", &st) >= 0 ? 0 : -EIO;
}

/* Runs @try in a process of its own, under the filter, if there is one. */
static int under_filter(const char *path, int (*try)(void)) {
        int status;

        pid_t pid = fork();
        if (pid == 0) {
                int r = path ? install(path) : 0;
                _exit(r < 0 ? 255 : -try());
        }
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return -ECHILD;
        return -WEXITSTATUS(status);
}

static void test_filter(void **state) {
        static const struct {
                const char *text;
                int (*try)(void);
                int result;
        } table[] = {
                { "getpid", try_getpid, 0 },
                { "a program", try_program, 0 },
                { "memory and files", try_memory_and_files, 0 },
                { "keyctl", try_keyctl, -EPERM },
                { "add_key", try_add_key, -EPERM },
                { "bpf", try_bpf, -EPERM },
                { "kexec_load", try_kexec, -EPERM },
                { "clock_settime", try_settime, -EPERM },
                { "init_module", try_init_module, -EPERM },
                { "an unknown number", try_unknown, -ENOSYS },
                { "audit", try_audit, -EAFNOSUPPORT },
                { "route netlink", try_route, 0 },
                { "unix socket", try_unix, 0 },
                { "inet socket", try_inet, 0 },
                { "protocol 9 of another family", try_protocol_of_audit, 0 },
                { "vsock", try_vsock, -EAFNOSUPPORT },
                { "alg", try_alg, -EAFNOSUPPORT },
                { "io_uring", try_io_uring, -EPERM },
                { "userfaultfd", try_userfaultfd, -EPERM },
                { "i386 keyctl", try_i386_keyctl, -EPERM },
                { "socketcall", try_socketcall, -EPERM },
                { "socketcall for bind", try_socketcall_bind, -EPERM },
#if defined(__x86_64__)
                { "i386 vsock", try_i386_vsock, -EAFNOSUPPORT },
                { "i386 unix", try_i386_unix, 0 },
#endif
        };
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        assert_int_equal(prepare(*state, NULL, &path, &problem), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int r = under_filter(path, table[i].try);
                assert_row(r == table[i].result, i, strerror(-r));
        }
}

/* The calls that setting system_call_filter allows fail, or do not, as they do without a filter. */
static void test_filter_allow(void **state) {
        char *const allow[] = { (char *) "@keyring", (char *) "bpf", NULL };
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        assert_int_equal(prepare(*state, allow, &path, &problem), 0);
        assert_int_equal(under_filter(path, try_add_key), under_filter(NULL, try_add_key));
        assert_int_equal(under_filter(path, try_keyctl), under_filter(NULL, try_keyctl));
        assert_int_equal(under_filter(path, try_kexec), -EPERM);
        assert_int_equal(under_filter(path, try_getpid), 0);
}

/* What the configuration allows wins over what is refused by default, groups too. */
static void test_filter_restored(void **state) {
        static const struct {
                const char *allow;
                int (*try)(void);
        } table[] = {
                { "@aio", try_io_uring },
                { "io_uring_setup", try_io_uring },
                { "userfaultfd", try_userfaultfd },
                { "socket", try_vsock },
                { "@network-io", try_vsock },
#if defined(__x86_64__)
                { "socketcall", try_socketcall },
                { "socketcall", try_socketcall_bind },
                { "socket", try_i386_vsock },
#endif
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *const allow[] = { (char *) table[i].allow, NULL };
                _cleanup_free_ char *path = NULL;
                Problem problem = { 0 };

                assert_int_equal(prepare(*state, allow, &path, &problem), 0);
                assert_row(under_filter(path, table[i].try) == under_filter(NULL, table[i].try), i, table[i].allow);
                /* And nothing else. */
                assert_row(under_filter(path, try_audit) == -EAFNOSUPPORT, i, "audit");
                assert_row(under_filter(path, try_kexec) == -EPERM, i, "kexec_load");
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_expand_stops),
        cmocka_unit_test_setup_teardown(test_prepare, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_prepare_unknown, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_filter, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_filter_allow, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_filter_restored, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
