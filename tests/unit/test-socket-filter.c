/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "container/socket-filter.h"

/* The instructions are given to the kernel with an end of ours, an error that no socket call has: that is what comes back
 * when they have nothing against a call. Whether the kernel knows a family does not matter then. */

#define PASSED EXDEV

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#ifdef NATIVE

typedef enum How {
        BY_SYSCALL,
        BY_X32,
        BY_I386,
} How;

static long by_i386(_unused_ long number, _unused_ long a, _unused_ long b, _unused_ long c) {
#if defined(__x86_64__)
        long result;

        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(number), "b"(a), "c"(b), "d"(c)
                         : "memory", "r8", "r9", "r10", "r11");
        return result;
#else
        return -ENOSYS;
#endif
}

/* Returns 0 or -errno of the call. */
static int call(How how, bool pair, long family, long protocol) {
        long number = pair ? SYS_socketpair : SYS_socket;

        if (how == BY_I386)
                return (int) by_i386(pair ? 360 : 359, family, SOCK_RAW, protocol);
        if (how == BY_X32)
                number |= 0x40000000;
        return syscall(number, family, SOCK_RAW, protocol, 0) < 0 ? -errno : 0;
}

static int under_filter(bool any_family, int (*try)(const void *), const void *userdata) {
        struct sock_filter code[SOCKET_FILTER_MAX + 1];
        int status;

        pid_t pid = fork();
        if (pid == 0) {
                size_t n = socket_filter_make(NATIVE, any_family, code);
                /* All other calls pass, so that this process can end. */
                code[n] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
                struct sock_filter end[] = {
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | PASSED),
                };
                struct sock_filter all[SOCKET_FILTER_MAX + 1 + ELEMENTSOF(end)];
                memcpy(all, code, (n + 1) * sizeof(code[0]));
                memcpy(all + n + 1, end, sizeof(end));
                struct sock_fprog program = { .len = (unsigned short) (n + 1 + ELEMENTSOF(end)), .filter = all };
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                        _exit(255);
                /* Before a function that does not return, AddressSanitizer makes calls that do not pass. */
                (void) syscall(SYS_exit_group, -try(userdata));
        }
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return -ECHILD;
        return -WEXITSTATUS(status);
}

typedef struct Row {
        long family, protocol;
        int result, result_any; /* with all families allowed */
} Row;

static const Row table[] = {
        { AF_UNIX, 0, -PASSED, -PASSED },
        { AF_INET, 0, -PASSED, -PASSED },
        { AF_INET6, 0, -PASSED, -PASSED },
        { AF_PACKET, 0, -PASSED, -PASSED },
        { AF_NETLINK, NETLINK_ROUTE, -PASSED, -PASSED },
        { AF_NETLINK, NETLINK_NETFILTER, -PASSED, -PASSED },
        { AF_NETLINK, NETLINK_AUDIT, -EAFNOSUPPORT, -EAFNOSUPPORT },
        { AF_UNIX, NETLINK_AUDIT, -PASSED, -PASSED },
        { AF_UNSPEC, 0, -EAFNOSUPPORT, -PASSED },
        { AF_X25, 0, -EAFNOSUPPORT, -PASSED },
        { AF_KEY, 0, -EAFNOSUPPORT, -PASSED },
        { AF_RDS, 0, -EAFNOSUPPORT, -PASSED },
        { AF_CAN, 0, -EAFNOSUPPORT, -PASSED },
        { AF_TIPC, 0, -EAFNOSUPPORT, -PASSED },
        { AF_BLUETOOTH, 0, -EAFNOSUPPORT, -PASSED },
        { AF_ALG, 0, -EAFNOSUPPORT, -PASSED },
        { AF_NFC, 0, -EAFNOSUPPORT, -PASSED },
        { AF_VSOCK, 0, -EAFNOSUPPORT, -PASSED },
        { AF_KCM, 0, -EAFNOSUPPORT, -PASSED },
        { AF_QIPCRTR, 0, -EAFNOSUPPORT, -PASSED },
        { AF_SMC, 0, -EAFNOSUPPORT, -PASSED },
        { AF_XDP, 0, -EAFNOSUPPORT, -PASSED },
        { 45 /* MCTP */, 0, -EAFNOSUPPORT, -PASSED },
        { 46 /* the next one */, 0, -EAFNOSUPPORT, -PASSED },
        { -1, 0, -EAFNOSUPPORT, -PASSED },
        /* The kernel looks at 32 bits only. */
        { (INT64_C(1) << 32) + AF_VSOCK, 0, -EAFNOSUPPORT, -PASSED },
        { (INT64_C(1) << 32) + AF_UNIX, 0, -PASSED, -PASSED },
        { AF_NETLINK, (INT64_C(1) << 32) + NETLINK_AUDIT, -EAFNOSUPPORT, -EAFNOSUPPORT },
        { (INT64_C(1) << 32) + AF_NETLINK, NETLINK_AUDIT, -EAFNOSUPPORT, -EAFNOSUPPORT },
};

typedef struct Attempt {
        How how;
        bool pair, any_family;
} Attempt;

/* In one process for each way, since a filter is for good: the first row that is wrong, or 0. */
static int try_rows(const void *userdata) {
        const Attempt *attempt = userdata;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (call(attempt->how, attempt->pair, table[i].family, table[i].protocol) !=
                    (attempt->any_family ? table[i].result_any : table[i].result))
                        return -(int) (i + 1);
        return 0;
}

static void test_filter_families(_unused_ void **state) {
        static const Attempt attempts[] = {
                { BY_SYSCALL, false, false },
                { BY_SYSCALL, true, false },
                { BY_SYSCALL, false, true },
                { BY_SYSCALL, true, true },
#if defined(__x86_64__)
                { BY_X32, false, false },
                { BY_X32, true, false },
                { BY_I386, false, false },
                { BY_I386, true, false },
                { BY_I386, false, true },
                { BY_I386, true, true },
#endif
        };

        for (size_t i = 0; i < ELEMENTSOF(attempts); i++) {
                int wrong = -under_filter(attempts[i].any_family, try_rows, &attempts[i]);
                char text[64];

                snprintf(text, sizeof(text), "row %d", wrong - 1);
                assert_row(wrong == 0, i, text);
        }
}

static int try_others(_unused_ const void *userdata) {
        /* Numbers that mean something else in the other architecture, with arguments that would be refused. */
        if (syscall(SYS_getpid) >= 0 || errno != PASSED)
                return -1;
#if defined(__x86_64__)
        if (syscall(359, AF_VSOCK, 0, 0) >= 0 || errno != PASSED)
                return -2;
        if (by_i386(SYS_socket, AF_VSOCK, 0, 0) != -PASSED)
                return -3;
#endif
        return 0;
}

static void test_filter_other_calls(_unused_ void **state) {
        assert_int_equal(under_filter(false, try_others, NULL), 0);
}

#else

static void test_filter_families(_unused_ void **state) {
        print_message("this test knows x86-64 and ARM only\n");
        skip();
}

static void test_filter_other_calls(void **state) {
        test_filter_families(state);
}

#endif

/* No jump leads beyond what follows, and nothing is written beyond the room for it. */
static void test_length(_unused_ void **state) {
        for (unsigned any_family = 0; any_family < 2; any_family++) {
                struct sock_filter code[SOCKET_FILTER_MAX];
                size_t n = socket_filter_make(AUDIT_ARCH_X86_64, any_family, code);

                assert_true(n > 0 && n <= SOCKET_FILTER_MAX);
                for (size_t i = 0; i < n; i++)
                        if (BPF_CLASS(code[i].code) == BPF_JMP)
                                assert_true(i + 1 + code[i].jt <= n && i + 1 + code[i].jf <= n);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_filter_families),
        cmocka_unit_test(test_filter_other_calls),
};
UNIT_FILE(tests);
