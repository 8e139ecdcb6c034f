/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Compiles the filter of system calls that the agent installs in a container, and keeps the result for the next jobs.
 * Called when a container is planned. What it allows is what systemd-nspawn allows: a job must not get more than that
 * unless the configuration says so. */

#include "container/seccomp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/library.h"
#include "base/new-file.h"
#include "base/process.h"
#include "base/string.h"
#include "container/socket-filter.h"

#define FUNCTIONS(X)                    \
        X(seccomp_init)                 \
        X(seccomp_arch_native)          \
        X(seccomp_release)              \
        X(seccomp_attr_set)             \
        X(seccomp_arch_add)             \
        X(seccomp_arch_remove)          \
        X(seccomp_merge)                \
        X(seccomp_rule_add_array)       \
        X(seccomp_syscall_resolve_name) \
        X(seccomp_export_bpf)

static struct { FUNCTIONS(LIBRARY_POINTER) } seccomp_api;

/* Increase it when the code here or in socket-filter.c makes another filter from the same input. */
#define FILTER_VERSION 2

#define ANALYZE "/usr/bin/systemd-analyze"
#define LISTING_MAX_BYTES (1024 * 1024)
#define NESTING_MAX 8

/* What systemd-nspawn allows with the capabilities that it leaves by default: systemd 252, nspawn-seccomp.c. Groups
 * are systemd's, see `systemd-analyze syscall-filter`. */
static const char *const allowed[] = {
        "@aio",
        "@basic-io",
        "@chown",
        "@default",
        "@file-system",
        "@io-event",
        "@ipc",
        "@mount",
        "@network-io",
        "@process",
        "@resources",
        "@setuid",
        "@signal",
        "@sync",
        "@timer",
        "brk",
        "capget",
        "capset",
        "copy_file_range",
        "fadvise64",
        "fadvise64_64",
        "flock",
        "get_mempolicy",
        "getcpu",
        "getpriority",
        "getrandom",
        "ioctl",
        "ioprio_get",
        "kcmp",
        "madvise",
        "mincore",
        "mprotect",
        "mremap",
        "name_to_handle_at",
        "oldolduname",
        "olduname",
        "personality",
        "readahead",
        "readdir",
        "remap_file_pages",
        "sched_get_priority_max",
        "sched_get_priority_min",
        "sched_getaffinity",
        "sched_getattr",
        "sched_getparam",
        "sched_getscheduler",
        "sched_rr_get_interval",
        "sched_rr_get_interval_time64",
        "sched_yield",
        "seccomp",
        "sendfile",
        "sendfile64",
        "setdomainname",
        "setfsgid",
        "setfsgid32",
        "setfsuid",
        "setfsuid32",
        "sethostname",
        "setpgid",
        "setsid",
        "splice",
        "sysinfo",
        "tee",
        "umask",
        "uname",
        "vmsplice",
        /* CAP_SYS_PTRACE, CAP_SYS_BOOT, CAP_SYS_TTY_CONFIG */
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "reboot",
        "vhangup",
};

/* In those groups, but refused with EPERM all the same: see docs/security.md. */
static const char *const refused[] = {
        /* Makes sockets, and much else, without a system call that a filter could see. */
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
};

/* The architectures whose programs a kernel of ours runs beside its own. */
static const uint32_t other_architectures[] = {
#if defined(__x86_64__)
        SCMP_ARCH_X86,
        SCMP_ARCH_X32,
#elif defined(__aarch64__)
        SCMP_ARCH_ARM,
#endif
        0,
};

/* Finds the lines of group @name: "@name", then indented lines until one that is not. */
static const char *find_group(const char *listing, const char *name) {
        for (const char *line = listing; line && *line;) {
                const char *end = strchrnul(line, '\n');

                if (strlen(name) == (size_t) (end - line) && strncmp(line, name, (size_t) (end - line)) == 0)
                        return *end ? end + 1 : end;
                line = *end ? end + 1 : NULL;
        }
        return NULL;
}

static int expand(const char *listing, const char *item, int (*add)(const char *name, void *userdata), void *userdata,
                  unsigned nesting) {
        if (item[0] != '@')
                return add(item, userdata);
        if (nesting >= NESTING_MAX)
                return -ELOOP;

        const char *line = find_group(listing, item);
        if (!line)
                return -ENOENT;
        while (*line == ' ') {
                const char *end = strchrnul(line, '\n');
                char name[128];

                line += strspn(line, " ");
                snprintf(name, sizeof(name), "%.*s", (int) (end - line), line);
                if (name[0] && name[0] != '#') {
                        int r = expand(listing, name, add, userdata, nesting + 1);
                        if (r < 0)
                                return r;
                }
                line = *end ? end + 1 : end;
        }
        return 0;
}

int seccomp_expand(const char *listing, const char *item, int (*add)(const char *name, void *userdata),
                   void *userdata) {
        return expand(listing, item, add, userdata, 0);
}

/* One system call gets one rule: the first that is added. */
typedef struct Rules {
        scmp_filter_ctx context;
        uint32_t action;
        char **added;
} Rules;

static bool is_added(const Rules *rules, const char *name) {
        for (char **p = rules->added; p && *p; p++)
                if (streq(*p, name))
                        return true;
        return false;
}

static int add_rule(const char *name, void *userdata) {
        Rules *rules = userdata;

        if (is_added(rules, name))
                return 0;
        int number = seccomp_api.seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR)
                return 0; /* this libseccomp is older than this systemd: it fails with ENOSYS */
        int r = seccomp_api.seccomp_rule_add_array(rules->context, rules->action, number, 0, NULL);
        /* -EDOM: not on this architecture */
        return r < 0 && r != -EDOM ? r : strv_extend(&rules->added, name);
}

static int add_items(Rules *rules, uint32_t action, const char *listing, const char *const *items, size_t n) {
        rules->action = action;
        for (size_t i = 0; i < n; i++) {
                int r = seccomp_expand(listing, items[i], add_rule, rules);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the configuration allows comes first, so that it can also allow what is refused here. */
static int add_allowed_by_user(Rules *rules, const char *listing, char *const *allow, Problem *reterr_problem) {
        rules->action = SCMP_ACT_ALLOW;
        for (; allow && *allow; allow++) {
                bool exists = (*allow)[0] == '@' || seccomp_api.seccomp_syscall_resolve_name(*allow) != __NR_SCMP_ERROR;
                int r = exists ? seccomp_expand(listing, *allow, add_rule, rules) : -ENOENT;

                if (r == -ENOENT)
                        return problem_set(reterr_problem, -EINVAL,
                                           "system_call_filter: there is no system call or group '%s'", *allow);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_all_rules(Rules *rules, uint32_t architecture, const char *listing, char *const *allow,
                         Problem *reterr_problem) {
        static const char *const multiplexed[] = { "socketcall" }, *const known[] = { "@known" };

        int r = add_allowed_by_user(rules, listing, allow, reterr_problem);
        if (r < 0)
                return r;
        r = add_items(rules, SCMP_ACT_ERRNO(EPERM), listing, refused, ELEMENTSOF(refused));
        if (r < 0)
                return r;
        /* Its arguments are in memory, where socket-filter.c cannot look. Before the calls that it stands for: libseccomp
         * adds a rule for it with each of them, which changes nothing when there is one already. */
        if (architecture == SCMP_ARCH_X86) {
                r = add_items(rules, SCMP_ACT_ERRNO(EPERM), listing, multiplexed, ELEMENTSOF(multiplexed));
                if (r < 0)
                        return r;
        }
        r = add_items(rules, SCMP_ACT_ALLOW, listing, allowed, ELEMENTSOF(allowed));
        if (r < 0)
                return r;
        return add_items(rules, SCMP_ACT_ERRNO(EPERM), listing, known, ELEMENTSOF(known));
}

static int fill_context(Rules *rules, uint32_t architecture, const char *listing, char *const *allow,
                        Problem *reterr_problem) {
        int r = 0;

        if (architecture != SCMP_ARCH_NATIVE) {
                r = seccomp_api.seccomp_arch_add(rules->context, architecture);
                if (r < 0)
                        return r;
                r = seccomp_api.seccomp_arch_remove(rules->context, SCMP_ARCH_NATIVE);
        }
        if (r < 0)
                return r;
        /* A program of an architecture that the filter does not know gets ENOSYS for every call. */
        r = seccomp_api.seccomp_attr_set(rules->context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
        if (r < 0)
                return r;
        (void) seccomp_api.seccomp_attr_set(rules->context, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
        return add_all_rules(rules, architecture, listing, allow, reterr_problem);
}

/* The rules for one architecture. */
static int make_context(uint32_t architecture, const char *listing, char *const *allow, scmp_filter_ctx *ret,
                        Problem *reterr_problem) {
        Rules rules = { .context = seccomp_api.seccomp_init(SCMP_ACT_ERRNO(ENOSYS)) };

        if (!rules.context)
                return -ENOMEM;
        int r = fill_context(&rules, architecture, listing, allow, reterr_problem);
        strv_free(rules.added);
        if (r < 0) {
                seccomp_api.seccomp_release(rules.context);
                return r;
        }
        *ret = rules.context;
        return 0;
}

static int note_socket(const char *name, void *userdata) {
        bool *found = userdata;

        *found |= streq(name, "socket");
        return 0;
}

/* Writes the part that looks at arguments, which stands before all others. */
static int write_socket_filter(const char *listing, char *const *allow, int fd) {
        struct sock_filter instructions[SOCKET_FILTER_MAX];
        bool any_family = false;

        for (; allow && *allow; allow++)
                (void) seccomp_expand(listing, *allow, note_socket, &any_family);
        size_t n = socket_filter_make(seccomp_api.seccomp_arch_native(), any_family, instructions);
        return fd_write_all(fd, instructions, n * sizeof(instructions[0]));
}

static void context_release(scmp_filter_ctx *context) {
        if (*context)
                seccomp_api.seccomp_release(*context);
}

static int compile(const char *listing, char *const *allow, int fd, Problem *reterr_problem) {
        _cleanup_(context_release) scmp_filter_ctx context = NULL;
        scmp_filter_ctx other;

        int r = make_context(SCMP_ARCH_NATIVE, listing, allow, &context, reterr_problem);
        if (r < 0)
                return r;
        for (size_t i = 0; other_architectures[i] != 0; i++) {
                r = make_context(other_architectures[i], listing, allow, &other, reterr_problem);
                if (r < 0)
                        return r;
                r = seccomp_api.seccomp_merge(context, other); /* takes it */
                if (r < 0)
                        return r;
        }
        r = write_socket_filter(listing, allow, fd);
        return r < 0 ? r : seccomp_api.seccomp_export_bpf(context, fd);
}

static void hash_strings(Hash *hash, const char *const *strings, size_t n) {
        for (size_t i = 0; i < n; i++)
                hash_string(hash, strings[i]);
        hash_string(hash, NULL); /* where one list ends and the next begins */
}

/* A name for everything that the filter depends on, such as the lists in this file. A new systemd has another list, a new
 * libseccomp other system calls; the linker's cache changes whenever a library is installed (ldconfig(8)). */
static int filter_name(char *const *allow, char **ret) {
        static const uint8_t key[16] = "seccomp-filter-n";
        static const char *const files[] = { ANALYZE, "/etc/ld.so.cache" };
        Hash hash;

        hash_init(&hash, key);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                struct stat st = { 0 };

                (void) stat(files[i], &st);
                hash_update(&hash, &st.st_mtim, sizeof(st.st_mtim));
                hash_update(&hash, &st.st_size, sizeof(st.st_size));
        }
        hash_strings(&hash, allowed, ELEMENTSOF(allowed));
        hash_strings(&hash, refused, ELEMENTSOF(refused));
        hash_strings(&hash, (const char *const *) allow, strv_length(allow));
        return string_printf(ret, "v%d-%016" PRIx64 ".bpf", FILTER_VERSION, hash_finish(&hash));
}

static int fail_missing(const char *what, Problem *reterr_problem) {
        return problem_set(reterr_problem, SECCOMP_NOT_INSTALLED,
                           "The seccomp filter cannot be made without %s, which is not installed", what);
}

static int make_filter(int dir_fd, const char *name, char *const *allow, Problem *reterr_problem) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };
        char **argv = ARGV(ANALYZE, "--no-pager", "syscall-filter");
        char **envp = ARGV("PATH=/usr/bin:/bin", "SYSTEMD_COLORS=0");
        _cleanup_free_ char *listing = NULL, *filter = NULL;
        size_t size;

        int r = library_load(LIBRARY_SECCOMP, names, (void **) &seccomp_api);
        if (r < 0)
                return fail_missing("libseccomp.so.2 (package libseccomp2)", reterr_problem);
        Spawn spawn = { .argv = argv, .envp = envp, .stdin_fd = -EBADF, .stderr_fd = -EBADF };
        r = process_capture(&spawn, LISTING_MAX_BYTES, &listing);
        if (r == -ENOENT)
                return fail_missing(ANALYZE " (package systemd)", reterr_problem);
        if (r != 0)
                return problem_set(reterr_problem, r < 0 ? r : -EIO, "'" ANALYZE " syscall-filter' failed: %m");

        _cleanup_close_ int fd = memfd_create("seccomp-filter", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = compile(listing, allow, fd, reterr_problem);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        r = fd_read_all(fd, LISTING_MAX_BYTES, &filter, &size);
        return r < 0 ? r : file_publish_at(dir_fd, name, filter, size, 0600);
}

int seccomp_filter_prepare(const char *directory, char *const *allow, char **ret_path, Problem *reterr_problem) {
        _cleanup_free_ char *name = NULL, *path = NULL;

        int r = filter_name(allow, &name);
        if (r < 0)
                return r;
        r = string_printf(&path, "%s/%s", directory, name);
        if (r < 0)
                return r;
        if (access(path, R_OK) < 0) {
                r = mkdir_parents(directory, 0700);
                if (r < 0)
                        return r;
                _cleanup_close_ int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (dir_fd < 0)
                        return -errno;
                r = make_filter(dir_fd, name, allow, reterr_problem);
                if (r != 0)
                        return r;
        }
        *ret_path = TAKE_PTR(path);
        return 0;
}
