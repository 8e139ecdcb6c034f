/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The instructions that decide which sockets a job may make, written by hand. Only seccomp.c calls this, and puts
 * them before the filter that libseccomp makes. They only refuse: they must never allow a call by themselves, because
 * the filter behind them would not see it. */

#include "container/socket-filter.h"

#include <endian.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* BPF loads 32 bits; of an argument, those that the kernel takes for the int. */
#define ARGUMENT(i) (offsetof(struct seccomp_data, args[i]) + (__BYTE_ORDER == __BIG_ENDIAN ? sizeof(uint32_t) : 0))

#define REFUSE (SECCOMP_RET_ERRNO | EAFNOSUPPORT)

static const uint32_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_PACKET };

/* socket() and socketpair() of the architectures whose programs a kernel of ours runs. */
typedef struct Calls {
        uint32_t arch; /* 0: ours */
        uint32_t numbers[4], n;
} Calls;

static const Calls all_calls[] = {
#if defined(__x86_64__)
        /* x32 is told apart by a bit of the number. */
        { 0, { SYS_socket, SYS_socketpair, SYS_socket | 0x40000000, SYS_socketpair | 0x40000000 }, 4 },
        { AUDIT_ARCH_I386, { 359, 360 }, 2 },
#elif defined(__aarch64__)
        { 0, { SYS_socket, SYS_socketpair }, 2 },
        { AUDIT_ARCH_ARM, { 281, 288 }, 2 },
#else
        { 0, { SYS_socket, SYS_socketpair }, 2 },
#endif
};

/* Stand for distances until the length of what lies between is known. */
#define TO_CHECKS 254
#define TO_END 255

typedef struct Code {
        struct sock_filter *instructions;
        size_t n;
} Code;

static void add(Code *code, uint16_t opcode, uint32_t k, uint8_t if_true, uint8_t if_false) {
        code->instructions[code->n++] = (struct sock_filter){ opcode, if_true, if_false, k };
}

static void load(Code *code, size_t offset) {
        add(code, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

static void compare(Code *code, uint32_t value, uint8_t if_same, uint8_t if_not) {
        add(code, BPF_JMP | BPF_JEQ | BPF_K, value, if_same, if_not);
}

static void refuse(Code *code) {
        add(code, BPF_RET | BPF_K, REFUSE, 0, 0);
}

static void add_calls(Code *code, uint32_t native_arch) {
        for (size_t i = 0; i < ELEMENTSOF(all_calls); i++) {
                const Calls *calls = &all_calls[i];

                load(code, offsetof(struct seccomp_data, arch));
                compare(code, calls->arch ? calls->arch : native_arch, 0, (uint8_t) (calls->n + 1));
                load(code, offsetof(struct seccomp_data, nr));
                for (size_t j = 0; j < calls->n; j++)
                        compare(code, calls->numbers[j], TO_CHECKS, j + 1 < calls->n ? 0 : TO_END);
        }
        /* An architecture that is none of these, whose calls the rest of the filter refuses. */
        compare(code, 0, TO_END, TO_END);
}

static void add_checks(Code *code, bool any_family) {
        load(code, ARGUMENT(0));
        if (any_family) {
                compare(code, AF_NETLINK, 0, TO_END);
        } else {
                for (size_t i = 0; i < ELEMENTSOF(families); i++)
                        compare(code, families[i], TO_END, 0);
                compare(code, AF_NETLINK, 1, 0);
                refuse(code);
        }
        load(code, ARGUMENT(2));
        compare(code, NETLINK_AUDIT, 0, TO_END);
        refuse(code);
}

static uint8_t resolve(uint8_t distance, size_t from, size_t checks, size_t end) {
        return distance == TO_CHECKS ? (uint8_t) (checks - from - 1) :
               distance == TO_END    ? (uint8_t) (end - from - 1) :
                                       distance;
}

size_t socket_filter_make(uint32_t native_arch, bool any_family, struct sock_filter ret[static SOCKET_FILTER_MAX]) {
        Code code = { .instructions = ret };

        add_calls(&code, native_arch);
        size_t checks = code.n;
        add_checks(&code, any_family);
        for (size_t i = 0; i < code.n; i++)
                if (BPF_CLASS(ret[i].code) == BPF_JMP) {
                        ret[i].jt = resolve(ret[i].jt, i, checks, code.n);
                        ret[i].jf = resolve(ret[i].jf, i, checks, code.n);
                }
        return code.n;
}
