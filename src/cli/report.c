/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says what a job used, at the end of its log and in the file of metrics. Called by `prepare`, `run` and `cleanup`.
 * What cannot be found out is left out, and must not fail a job. */

#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/string.h"
#include "gitlab/exit-status.h"
#include "gitlab/stage.h"
#include "machine/metrics.h"
#include "machine/services.h"
#include "machine/usage.h"

/* GitLab Runner always calls this stage last; what `cleanup` prints does not get into the job's log. */
#define LAST_STAGE "cleanup_file_variables"

/* Says that the job was counted, in its directory. */
#define FILE_COUNTED "counted"

void report_step(const Settings *settings, const Settings *own, const MachineDirectory *directory, const char *stage,
                 uint64_t usec) {
        if (!own->report && !settings->metrics_file)
                return;
        int r = machine_steps_add(directory, stage, usec);
        if (r < 0)
                log_debug_errno(r, "Cannot write down how long the step took: %m");
}

static void add_bytes(char **text, uint64_t bytes, const char *format_before, const char *after) {
        char size[FORMAT_BYTES_MAX], part[128];

        if (bytes == UINT64_MAX) /* this host does not tell */
                return;
        snprintf(part, sizeof(part), "%s%s%s", format_before, format_bytes(bytes, size), after);
        (void) string_append(text, ", ", "%s", part);
}

/* "1.2s of CPU time, at most 20M of memory", to be freed; NULL: nothing is known. */
static char *describe_usage(const MachineUsage *usage) {
        char *text = NULL, cpu[64];

        if (usage->cpu_usec != UINT64_MAX) {
                snprintf(cpu, sizeof(cpu), "%" PRIu64 ".%" PRIu64 "s of CPU time", usage->cpu_usec / USEC_PER_SEC,
                         usage->cpu_usec % USEC_PER_SEC / (USEC_PER_SEC / 10));
                (void) string_append(&text, ", ", "%s", cpu);
        }
        add_bytes(&text, usage->memory_peak_bytes, "at most ", " of memory");
        add_bytes(&text, usage->written_bytes, "", " written to disk");
        add_bytes(&text, usage->received_bytes, "", " received");
        add_bytes(&text, usage->sent_bytes, "", " sent");
        return text;
}

static void report_service(const Machine *machine, const MachineDirectory *directory _unused_,
                           void *userdata _unused_) {
        MachineUsage usage;

        machine_usage_read(machine, &usage);
        _cleanup_free_ char *text = describe_usage(&usage);
        if (text)
                log_notice("Service '%s' used %s", machine->names[0], text);
}

static void report_services(const Settings *settings, const Machine *machine) {
        MachineUsage usage = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };

        services_visit(settings, machine->id, report_service, NULL);
        _cleanup_free_ char *text = machine_usage_together(machine, &usage) ? describe_usage(&usage) : NULL;
        if (text)
                log_notice("Together they used %s", text);
}

void report_end(const Settings *settings, const MachineDirectory *directory, const char *stage, JobEnd end) {
        if (settings->metrics_file)
                job_end_note(directory, stage, end, gitlab_stage_decides(stage), gitlab_stage_is_own(stage));
}

void report_usage(const Settings *settings, const Machine *machine, const MachineDirectory *directory,
                  const char *stage) {
        MachineUsage usage;

        if (!machine->settings.report || !streq_null(stage, LAST_STAGE))
                return;
        machine_usage_read(machine, &usage);
        _cleanup_free_ char *text = describe_usage(&usage), *steps = machine_steps_describe(directory, NULL);
        if (text)
                log_notice("The job used %s", text);
        if (machine->has_segment)
                report_services(settings, machine);
        if (steps)
                log_notice("Its steps took %s", steps);
}

static void add_service(const Machine *machine, const MachineDirectory *directory _unused_, void *userdata) {
        MachineUsage usage;

        machine_usage_read(machine, &usage);
        machine_usage_add(userdata, &usage);
}

static int count(const Settings *settings, const JobSpec *job, const Machine *machine,
                 const MachineDirectory *directory) {
        MetricsJob counted = { .project_id = job->project_id, .image = machine->image };

        /* Noted before it is counted: a job that is never counted is better than one that is counted twice. */
        int r = machine_file_write(directory, FILE_COUNTED, "yes");
        if (r < 0)
                return r;
        _cleanup_free_ char *steps = machine_steps_describe(directory, &counted.steps_usec);
        counted.prepare_usec = machine_steps_usec(directory, REPORT_PREPARE);
        counted.end = job_end_read(directory);
        machine_usage_read(machine, &counted.usage);
        if (machine->has_segment) {
                services_visit(settings, machine->id, add_service, &counted.usage);
                (void) machine_usage_together(machine, &counted.usage);
        }
        return metrics_file_add(settings->metrics_file, &counted);
}

void report_job(const Settings *settings, const JobSpec *job) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        if (!settings->metrics_file || machine_directory_open(settings->runtime_dir, job->id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0)
                return;
        _cleanup_free_ char *before = machine_file_read(&directory, FILE_COUNTED);
        if (before)
                return;
        int r = count(settings, job, machine, &directory);
        if (r < 0)
                log_warning_errno(r, "Cannot count the job in metrics_file '%s': %m", settings->metrics_file);
}

void report_failed_prepare(const Settings *settings, int result) {
        MetricsJob failed = { .failure = result == STAGE_BUILD_FAILURE ? PREPARE_JOB :
                                         result == -ENOSPC             ? PREPARE_DISK :
                                         result == -ECANCELED          ? PREPARE_CANCELED :
                                                                         PREPARE_SYSTEM };

        if (!settings->metrics_file)
                return;
        int r = metrics_file_add(settings->metrics_file, &failed);
        if (r < 0)
                log_verbose("Cannot count in metrics_file '%s' that this failed: %s", settings->metrics_file,
                            strerror(-r));
}
