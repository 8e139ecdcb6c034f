/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Names and limits of the slice of a job, and of the containers in it. Called by both supervisors. It makes and
 * changes nothing: the same plan must give the same limits on every host, and the name alone must lead to the slice when
 * the plan is lost. */

#include "container/slice.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/string.h"

#define SLICE_BEGIN "machine-"
#define SLICE_END ".slice"

static void replace(char *text, char from, char to) {
        for (char *p = strchr(text, from); p; p = strchr(p, from))
                *p = to;
}

/* "machine-", and @name as it is in slices. */
static int escape(const char *name, int length, const char *after, char **ret) {
        int r = string_printf(ret, SLICE_BEGIN "%.*s%s", length, name, after);
        if (r < 0)
                return r;
        replace(*ret + strlen(SLICE_BEGIN), '-', '_');
        return 0;
}

int slice_name(const char *name, char **ret) {
        size_t length;

        if (id_service_number(name, &length) == 0)
                length = strlen(name);
        return escape(name, (int) length, SLICE_END, ret);
}

bool slice_is_name(const char *name) {
        return startswith(name, SLICE_BEGIN) && endswith(name, SLICE_END);
}

int slice_pattern(const char *prefix, char **ret) {
        return escape(prefix, (int) strlen(prefix), "*" SLICE_END, ret);
}

int slice_job(const char *slice, const char *prefix, char **ret) {
        _cleanup_free_ char *begin = NULL;

        int r = escape(prefix, (int) strlen(prefix), "", &begin);
        if (r < 0)
                return r;
        const char *rest = startswith(slice, begin), *end = rest ? endswith(rest, SLICE_END) : NULL;
        if (!end)
                return -ENOENT;
        char *job = strndup(rest, (size_t) (end - rest));
        if (!job)
                return -ENOMEM;
        replace(job, '_', '-');
        *ret = job;
        return 0;
}

int slice_groups(const char *parent, const char *name, CgroupSet *ret) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        _cleanup_free_ char *slice = NULL;

        int r = slice_name(name, &slice);
        if (r < 0)
                return r;
        r = cgroup_below(parent, slice, &groups);
        if (r < 0)
                return r;
        if (!cgroup_exists(&groups))
                return -ENOENT;
        *ret = groups;
        groups.n = 0;
        return 0;
}

bool slice_is_of(const Machine *machine) {
        return machine->has_segment;
}

/* A setting that may be unset. */
static uint64_t limit(uint64_t value) {
        return value == 0 ? UINT64_MAX : value;
}

CgroupLimits slice_limits(const Machine *machine) {
        const Settings *settings = &machine->settings;

        return (CgroupLimits){
                .memory_high_bytes = limit(settings->job_memory_high.bytes),
                .memory_max_bytes = limit(settings->job_memory_max.bytes),
                .tasks_max = limit(settings->job_tasks_max),
                .cpu_weight = settings->cpu_weight,
        };
}

CgroupLimits machine_limits(const Machine *machine) {
        const Settings *settings = &machine->settings;
        CgroupLimits own = {
                .memory_high_bytes = settings->memory_high.bytes,
                .memory_max_bytes = settings->memory_max.bytes,
                .tasks_max = settings->tasks_max,
                .cpu_weight = settings->cpu_weight,
        };

        if (slice_is_of(machine) || machine->network_of)
                return own;
        CgroupLimits job = slice_limits(machine);
        own.memory_high_bytes = MIN(own.memory_high_bytes, job.memory_high_bytes);
        own.memory_max_bytes = MIN(own.memory_max_bytes, job.memory_max_bytes);
        own.tasks_max = MIN(own.tasks_max, job.tasks_max);
        return own;
}
