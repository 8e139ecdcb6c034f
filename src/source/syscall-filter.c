/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The filter of system calls for programs that unpack and fetch (source/confine.c). It names the calls that are
 * refused, not those that are allowed: the programs come from the host's distribution and may use whatever a new libc
 * uses, and the rest of the confinement does not depend on this filter. It is written by hand in the form that the
 * kernel reads (seccomp(2)), so some forty comparisons need no compiler and no library. It must not be used for
 * containers, which have container/seccomp.c. */

#include "source/syscall-filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ARCHITECTURE AUDIT_ARCH_PPC64LE
#elif defined(__arm__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_ARM
#elif defined(__i386__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_I386
#else
#error "The number of this architecture for seccomp is not known here: see linux/audit.h"
#endif

/* The half of an argument that holds an int; on all the architectures above it comes first. */
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))

/* Calls of x32 have this bit and the architecture of x86_64 (asm/unistd.h). No other call has a number with this
 * bit. */
#define X32_BIT 0x40000000U

#define NAMESPACES \
        (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static const int refused[] = {
        /* Ways to make sockets without socket(2); the old call of some architectures hides its arguments. */
        SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#ifdef SYS_socketcall
        SYS_socketcall,
#endif
        /* Mounts and namespaces. */
        SYS_mount, SYS_umount2, SYS_pivot_root, SYS_mount_setattr, SYS_move_mount, SYS_open_tree, SYS_fsopen,
        SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_unshare, SYS_setns, SYS_chroot,
        /* Files without a path. */
        SYS_open_by_handle_at, SYS_fanotify_init, SYS_quotactl, SYS_swapon, SYS_swapoff,
        /* Other processes. */
        SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_process_madvise, SYS_kcmp,
        SYS_move_pages, SYS_perf_event_open,
        /* The kernel. */
        SYS_bpf, SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_init_module, SYS_finit_module,
        SYS_delete_module, SYS_kexec_load, SYS_syslog, SYS_acct, SYS_reboot, SYS_settimeofday, SYS_clock_settime,
        SYS_adjtimex, SYS_vhangup
};

typedef struct Program {
        struct sock_filter code[2 * ELEMENTSOF(refused) + 32];
        unsigned short length;
} Program;

static void add(Program *program, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false) {
        program->code[program->length++] = (struct sock_filter){ .code = code, .jt = if_true, .jf = if_false, .k = k };
}

static void load(Program *program, size_t offset) {
        add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

static void end_with(Program *program, uint32_t action) {
        add(program, BPF_RET | BPF_K, action, 0, 0);
}

/* If the value that was loaded last is @value, the filter ends with @action. */
static void end_if(Program *program, uint32_t value, uint32_t action) {
        add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        end_with(program, action);
}

static uint32_t failure(int error) {
        return SECCOMP_RET_ERRNO | ((uint32_t) error & SECCOMP_RET_DATA);
}

static void add_sockets(Program *program, SyscallSockets sockets) {
        if (sockets == SYSCALL_SOCKETS_NONE) {
                end_if(program, SYS_socket, failure(EPERM));
                end_if(program, SYS_socketpair, failure(EPERM));
                return;
        }

        /* Other calls skip the comparisons of sockets. */
        add(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, sockets == SYSCALL_SOCKETS_UNIX ? 10 : 8);
        load(program, ARGUMENT(0));
        end_if(program, AF_INET, SECCOMP_RET_ALLOW);
        end_if(program, AF_INET6, SECCOMP_RET_ALLOW);
        end_if(program, AF_NETLINK, SECCOMP_RET_ALLOW);
        if (sockets == SYSCALL_SOCKETS_UNIX)
                end_if(program, AF_UNIX, SECCOMP_RET_ALLOW);
        end_with(program, failure(EAFNOSUPPORT));
}

int syscall_filter_install(SyscallSockets sockets) {
        Program program = { 0 };

        load(&program, offsetof(struct seccomp_data, arch));
        add(&program, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0);
        end_with(&program, SECCOMP_RET_KILL_PROCESS);
        load(&program, offsetof(struct seccomp_data, nr));
        add(&program, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
        end_with(&program, failure(ENOSYS));
        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                end_if(&program, (uint32_t) refused[i], failure(EPERM));
        /* The flags of clone3() are in memory, where no filter can read them; after ENOSYS, libc falls back to
         * clone(). */
        end_if(&program, SYS_clone3, failure(ENOSYS));
        add_sockets(&program, sockets);

        /* Comes after the sockets: their arguments were loaded in a branch that has ended by now. */
        add(&program, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3);
        load(&program, ARGUMENT(0));
        add(&program, BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1);
        end_with(&program, failure(EPERM));
        end_with(&program, SECCOMP_RET_ALLOW);

        struct sock_fprog installed = { .len = program.length, .filter = program.code };
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &installed, 0, 0) < 0)
                return -errno;
        return 0;
}
