/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Adds up what a job used: CPU, memory, disk, network and time. Called by `run` and `cleanup`, if the settings report
 * or metrics_file want it. It writes nothing but the list of steps, and what the host does not tell stays unknown,
 * not zero. */

#include "machine/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/supervisor.h"
#include "machine/inside.h"

#define NET_DEV_MAX_BYTES (256 * 1024)
/* The file of steps has this limit: later steps of a job that ran more are left out. */
#define STEPS_MAX_BYTES (60 * 1024)
#define STEP_NAME_MAX 64
#define STEPS_SHOWN_MAX 32

/* --- network --- */

/* Sums of all interfaces but the loopback, as of proc_pid_net(5). */
static void read_network(pid_t pid, MachineUsage *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64], *state = NULL;
        uint64_t received = 0, sent = 0;
        bool any = false;

        snprintf(path, sizeof(path), "/proc/%d/net/dev", (int) pid);
        if (file_read_at(AT_FDCWD, path, NET_DEV_MAX_BYTES, &text, NULL) < 0)
                return;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                uint64_t in, out;
                char *colon = strchr(line, ':');

                if (!colon || startswith(line + strspn(line, " "), "lo:") ||
                    sscanf(colon + 1, "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &in, &out) != 2)
                        continue;
                received += in;
                sent += out;
                any = true;
        }
        if (any) {
                ret->received_bytes = received;
                ret->sent_bytes = sent;
        }
}

static void add(uint64_t *value, uint64_t more) {
        if (more != UINT64_MAX)
                *value = *value == UINT64_MAX ? more : *value + more;
}

void machine_usage_add(MachineUsage *usage, const MachineUsage *more) {
        add(&usage->cpu_usec, more->cpu_usec);
        add(&usage->memory_peak_bytes, more->memory_peak_bytes);
        add(&usage->written_bytes, more->written_bytes);
        add(&usage->received_bytes, more->received_bytes);
        add(&usage->sent_bytes, more->sent_bytes);
}

bool machine_usage_together(const Machine *machine, MachineUsage *usage) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };

        if (supervisor_pick()->slice(machine->name, &slice) < 0)
                return false;
        (void) cgroup_cpu_usec(&slice, &usage->cpu_usec);
        (void) cgroup_memory_peak_bytes(&slice, &usage->memory_peak_bytes);
        (void) cgroup_written_bytes(&slice, &usage->written_bytes);
        return true;
}

void machine_usage_read(const Machine *machine, MachineUsage *ret) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        *ret = (MachineUsage){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
        if (supervisor_pick()->groups(machine->name, &groups) < 0)
                return;
        (void) cgroup_cpu_usec(&groups, &ret->cpu_usec);
        (void) cgroup_memory_peak_bytes(&groups, &ret->memory_peak_bytes);
        (void) cgroup_written_bytes(&groups, &ret->written_bytes);
        int first = machine_first_process(machine);
        if (first > 0 && process_in_other_namespace(first, "net"))
                read_network(first, ret);
}

/* --- steps --- */

static bool is_plain(const char *name) {
        size_t n = strlen(name);

        return n > 0 && n <= STEP_NAME_MAX &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

int machine_steps_add(const MachineDirectory *directory, const char *name, uint64_t usec) {
        _cleanup_free_ char *before = machine_file_read(directory, MACHINE_FILE_STEPS), *after = NULL;

        if (before && strlen(before) > STEPS_MAX_BYTES)
                return 0;
        int r = string_printf(&after, "%s%s %" PRIu64 "\n", before ? before : "",
                              name && is_plain(name) ? name : "step", usec);
        return r < 0 ? r : machine_file_write(directory, MACHINE_FILE_STEPS, after);
}

typedef struct Step {
        char name[STEP_NAME_MAX + 1];
        uint64_t usec;
} Step;

static size_t read_steps(const char *text, Step steps[static STEPS_SHOWN_MAX], uint64_t *ret_total_usec) {
        size_t n = 0;

        *ret_total_usec = 0;
        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
                /* Not from the text, all of which sscanf() would look at for each line. */
                char line[STEP_NAME_MAX + 32];
                size_t i = 0;
                Step step;

                snprintf(line, sizeof(line), "%.*s", (int) strcspn(p, "\n"), p);
                if (sscanf(line, "%64s %" SCNu64, step.name, &step.usec) != 2)
                        continue;
                *ret_total_usec += step.usec;
                while (i < n && !streq(steps[i].name, step.name))
                        i++;
                if (i < n)
                        steps[i].usec += step.usec;
                else if (n < STEPS_SHOWN_MAX)
                        steps[n++] = step;
        }
        return n;
}

char *machine_steps_describe(const MachineDirectory *directory, uint64_t *ret_total_usec) {
        _cleanup_free_ char *text = machine_file_read(directory, MACHINE_FILE_STEPS), *all = NULL;
        Step steps[STEPS_SHOWN_MAX];
        uint64_t total_usec;

        if (!text)
                return NULL;
        size_t n = read_steps(text, steps, &total_usec);
        for (size_t i = 0; i < n; i++)
                if (string_append(&all, ", ", "%s %" PRIu64 ".%" PRIu64 "s", steps[i].name,
                                  steps[i].usec / USEC_PER_SEC, steps[i].usec % USEC_PER_SEC / (USEC_PER_SEC / 10)) < 0)
                        return NULL;
        if (ret_total_usec)
                *ret_total_usec = total_usec;
        return TAKE_PTR(all);
}

uint64_t machine_steps_usec(const MachineDirectory *directory, const char *name) {
        _cleanup_free_ char *text = machine_file_read(directory, MACHINE_FILE_STEPS);
        Step steps[STEPS_SHOWN_MAX];
        uint64_t total_usec;

        size_t n = text ? read_steps(text, steps, &total_usec) : 0;
        for (size_t i = 0; i < n; i++)
                if (streq(steps[i].name, name))
                        return steps[i].usec;
        return 0;
}
