/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the file trees of a running machine through its processes in /proc. Called by commands of the administrator
 * that look into a job, and by cause.c, disk.c, ready.c and usage.c. Processes of the container are hostile: nothing
 * that they can choose themselves, such as their names, may decide. */

#include "machine/inside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/root.h"

#define STATUS_MAX_BYTES (64 * 1024)

bool process_in_other_namespace(int pid, const char *kind) {
        char ours[64], theirs[64];
        struct stat a, b;

        snprintf(ours, sizeof(ours), "/proc/self/ns/%s", kind);
        snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", pid, kind);
        return stat(ours, &a) >= 0 && stat(theirs, &b) >= 0 && (a.st_dev != b.st_dev || a.st_ino != b.st_ino);
}

/* The kernel's word: it is process 1 of a PID namespace right below ours, and of the container's host name. pasta, which
 * the supervisor may have started, has the former, too, but sees the host's files. */
static bool is_first_inside(int pid) {
        _cleanup_free_ char *text = NULL;
        char path[64], rest;
        int outer, inner;

        if (!process_in_other_namespace(pid, "uts"))
                return false;
        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        if (file_read_at(AT_FDCWD, path, STATUS_MAX_BYTES, &text, NULL) < 0)
                return false;
        const char *line = strstr(text, "\nNSpid:");
        return line && sscanf(line, "\nNSpid: %d %d%c", &outer, &inner, &rest) == 3 && rest == '\n' && inner == 1;
}

typedef struct Processes {
        int first_pid;   /* the container's */
        int outside_pid; /* the supervisor, or systemd-nspawn, which has the same mounts */
} Processes;

static void look_at(pid_t pid, void *userdata) {
        Processes *processes = userdata;

        if (process_in_other_namespace(pid, "pid")) {
                if (is_first_inside(pid))
                        processes->first_pid = pid;
        } else if (process_in_other_namespace(pid, "mnt")) {
                processes->outside_pid = pid;
        }
}

static int find_processes(const Machine *machine, Processes *ret) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        int r = supervisor_pick()->groups(machine->name, &groups);
        if (r < 0)
                return r;
        (void) cgroup_visit(&groups, look_at, ret);
        return 0;
}

int machine_first_process(const Machine *machine) {
        Processes processes = { 0 };

        (void) find_processes(machine, &processes);
        return processes.first_pid;
}

static int open_root(int pid, const char *path) {
        _cleanup_free_ char *full = NULL;

        int r = string_printf(&full, "/proc/%d/root%s", pid, path);
        if (r < 0)
                return r;
        int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? errno == ENOENT ? -ESRCH : -errno : fd;
}

static int read_owner_base(int pid, uint32_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        uint32_t inside;

        snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
        int r = file_read_at(AT_FDCWD, path, STATUS_MAX_BYTES, &text, NULL);
        if (r < 0)
                return r;
        if (isempty(text)) /* systemd-nspawn has not got that far */
                return -ESRCH;
        return sscanf(text, "%" SCNu32 " %" SCNu32, &inside, ret) == 2 && inside == 0 ? 0 : -EBADMSG;
}

static int open_both(const Machine *machine, const Processes *processes, MachineInside *ret) {
        _cleanup_machine_inside_ MachineInside inside = MACHINE_INSIDE_NONE;
        _cleanup_free_ char *path = NULL;

        int r = machine_root_path(machine, &path);
        if (r < 0)
                return r;
        inside.root_fd = open_root(processes->outside_pid, path);
        if (inside.root_fd < 0)
                return inside.root_fd;
        inside.seen_fd = open_root(processes->first_pid, "");
        if (inside.seen_fd < 0)
                return inside.seen_fd;
        r = read_owner_base(processes->first_pid, &inside.owner_base);
        if (r < 0)
                return r;
        *ret = inside;
        inside = MACHINE_INSIDE_NONE;
        return 0;
}

int machine_inside_open(const Machine *machine, MachineInside *ret) {
        _cleanup_machine_inside_ MachineInside inside = MACHINE_INSIDE_NONE;
        Processes processes = { 0 };

        int r = find_processes(machine, &processes);
        if (r < 0)
                return r;
        if (processes.first_pid == 0 || processes.outside_pid == 0)
                return -ESRCH;
        /* Open before we look: as long as these live, their numbers are nobody else's. */
        _cleanup_close_ int first_fd = pidfd_open_cloexec(processes.first_pid);
        _cleanup_close_ int outside_fd = pidfd_open_cloexec(processes.outside_pid);
        if (first_fd < 0 || outside_fd < 0)
                return -ESRCH;
        r = open_both(machine, &processes, &inside);
        if (r < 0)
                return r;
        if (pidfd_signal(first_fd, 0) < 0 || pidfd_signal(outside_fd, 0) < 0 || !is_first_inside(processes.first_pid))
                return -ESRCH;
        *ret = inside;
        inside = MACHINE_INSIDE_NONE;
        return 0;
}

void machine_inside_done(MachineInside *inside) {
        closep(&inside->root_fd);
        closep(&inside->seen_fd);
        *inside = MACHINE_INSIDE_NONE;
}
