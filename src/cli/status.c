/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `status`: lists the jobs that exist now, with their services, and what they use. Only reads. Of a job that
 * is just being made or removed it shows what is known. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "container/cgroup.h"
#include "container/slice.h"
#include "container/supervisor.h"
#include "machine/collect.h"
#include "machine/directory.h"
#include "machine/disk.h"
#include "machine/kept.h"
#include "machine/segment-file.h"
#include "machine/services.h"
#include "terminal/table.h"
#include "terminal/time-text.h"

#define WATCH_USEC (2 * USEC_PER_SEC)

/* How long it may take to find out how much all jobs have written, and one of them. */
#define SIZES_USEC (500 * USEC_PER_MSEC)
#define SIZE_USEC (50 * USEC_PER_MSEC)

/* cpu: CPU time, in JSON in seconds. disk: what it has written; a lower bound if there was no time to look at
 * everything. */
enum {
        ID,
        SERVICE,
        PROJECT,
        JOB,
        STAGE,
        IMAGE,
        GENERATION,
        STATE,
        AGE,
        CPU,
        MEMORY,
        DISK,
        USER,
        ADDRESS,
        SINCE,
        BOOT,
        STORAGE,
        URL,
        UNTIL,
        ALL_CPU,
        ALL_MEMORY,
        N_COLUMNS,
};

static const TableColumn columns[N_COLUMNS + 1] = {
        [ID] = { "id", COLUMN_TEXT },
        [SERVICE] = { "service", COLUMN_TEXT, .rank = 1, .shortens = true },
        [PROJECT] = { "project", COLUMN_TEXT, .rank = 4, .shortens = true },
        [JOB] = { "job", COLUMN_TEXT, .rank = 3, .shortens = true },
        [STAGE] = { "stage", COLUMN_TEXT, .rank = 9, .shortens = true },
        [IMAGE] = { "image", COLUMN_TEXT, .rank = 1, .shortens = true },
        [GENERATION] = { "generation", COLUMN_NUMBER, .only_json = true },
        [STATE] = { "state", COLUMN_TEXT },
        [AGE] = { "age", COLUMN_TEXT, .rank = 2, .only_table = true },
        [CPU] = { "cpu", COLUMN_NUMBER, .rank = 6 },
        [MEMORY] = { "memory", COLUMN_NUMBER, .rank = 5 },
        [DISK] = { "disk", COLUMN_NUMBER, .rank = 7 },
        [USER] = { "user", COLUMN_TEXT, .rank = 8, .shortens = true },
        [ADDRESS] = { "address", COLUMN_TEXT, .rank = 13 },
        [SINCE] = { "since", COLUMN_TEXT, .only_json = true },
        [BOOT] = { "boot", COLUMN_TEXT, .rank = 11 },
        [STORAGE] = { "storage", COLUMN_TEXT, .rank = 12 },
        [URL] = { "url", COLUMN_TEXT, .rank = 10 },
        [UNTIL] = { "kept_until", COLUMN_TEXT, .only_json = true },
        [ALL_CPU] = { "cpu_with_services", COLUMN_NUMBER, .only_json = true },
        [ALL_MEMORY] = { "memory_with_services", COLUMN_NUMBER, .only_json = true },
};

typedef struct Status {
        const Settings *settings;
        bool json;
        uint64_t deadline; /* for sizes */
        Table *table;
        size_t n_rows;
} Status;

/* The texts of a row that have to be made. */
typedef struct Texts {
        char *image;
        char since[TIME_TEXT_BYTES], age[TIME_TEXT_BYTES], until[TIME_TEXT_BYTES];
        char address[IP_NETWORK_TEXT_MAX];
        char generation[24], cpu[TIME_TEXT_BYTES], memory[24], disk[24];
        char all_cpu[TIME_TEXT_BYTES], all_memory[24];
} Texts;

static void texts_done(Texts *texts) {
        free(texts->image);
}

static const char *format_size(bool json, uint64_t bytes, bool more, char ret[static 24]) {
        char text[FORMAT_BYTES_MAX];

        if (json)
                snprintf(ret, 24, "%" PRIu64, bytes);
        else
                snprintf(ret, 24, "%s%s", more ? ">" : "", format_bytes(bytes, text));
        return ret;
}

/* Sets what control groups count; a cell stays as it is where they do not. */
static void describe_usage(const Status *status, const CgroupSet *groups, char cpu[static TIME_TEXT_BYTES],
                           char memory[static 24], const char **ret_cpu, const char **ret_memory) {
        uint64_t value;

        if (cgroup_memory_bytes(groups, &value) >= 0)
                *ret_memory = format_size(status->json, value, false, memory);
        if (cgroup_cpu_usec(groups, &value) < 0)
                return;
        if (status->json)
                snprintf(cpu, TIME_TEXT_BYTES, "%" PRIu64 ".%03" PRIu64, value / USEC_PER_SEC,
                         value % USEC_PER_SEC / USEC_PER_MSEC);
        else
                (void) duration_text(value, cpu);
        *ret_cpu = cpu;
}

static void add_usage(const Status *status, const Machine *machine, Texts *texts, const char **cells) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        if (supervisor_pick()->groups(machine->name, &groups) >= 0)
                describe_usage(status, &groups, texts->cpu, texts->memory, &cells[CPU], &cells[MEMORY]);
}

/* What a job has used together with its services, for those that limits of the whole job are for. */
static void add_usage_together(const Status *status, const Machine *machine, Texts *texts, const char **ret_cpu,
                               const char **ret_memory) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };

        if (slice_is_of(machine) && supervisor_pick()->slice(machine->name, &slice) >= 0)
                describe_usage(status, &slice, texts->all_cpu, texts->all_memory, ret_cpu, ret_memory);
}

static const char *disk_of(const Status *status, const char *id, char ret[static 24]) {
        uint64_t bytes = 0, deadline = MIN(status->deadline, clock_deadline(SIZE_USEC));

        int r = machine_disk_bytes(status->settings, id, deadline, &bytes);
        if (r < 0 && r != -ETIME)
                return NULL;
        return format_size(status->json, bytes, r == -ETIME, ret);
}

/* "bookworm@5" for people. */
static int describe_image(const Status *status, const Machine *machine, Texts *texts, const char **cells) {
        cells[IMAGE] = machine->image;
        if (machine->generation == 0)
                return 0;
        snprintf(texts->generation, sizeof(texts->generation), "%" PRIu64, machine->generation);
        cells[GENERATION] = texts->generation;
        if (status->json)
                return 0;
        int r = string_printf(&texts->image, "%s@%s", machine->image, texts->generation);
        if (r < 0)
                return r;
        cells[IMAGE] = texts->image;
        return 0;
}

static const char *describe_until(const Status *status, const MachineDirectory *directory, Texts *texts) {
        uint64_t until_usec, now_usec = clock_now_usec();

        if (!kept_until(directory, &until_usec) || until_usec < now_usec)
                return NULL;
        return time_text(clock_realtime_usec() + (until_usec - now_usec), status->json, texts->until);
}

static void describe_time(const Status *status, const Machine *machine, Texts *texts, const char **cells) {
        uint64_t now_usec = clock_realtime_usec();

        cells[SINCE] = time_text(machine->since_usec, status->json, texts->since);
        cells[AGE] = duration_text(now_usec > machine->since_usec ? now_usec - machine->since_usec : 0, texts->age);
}

/* In the job's own network: where services listen. */
static const char *address_of(const Status *status, const Machine *machine, const MachineDirectory *own,
                              char ret[static IP_NETWORK_TEXT_MAX]) {
        _cleanup_machine_directory_ MachineDirectory other = MACHINE_DIRECTORY_NONE;

        if (!machine_in_segment(machine))
                return NULL;
        if (machine->network_of &&
            machine_directory_open(status->settings->runtime_dir, machine->network_of, false, &other) < 0)
                return NULL;
        unsigned number = machine->network_number == UINT64_MAX ? BLOCK_JOB : (unsigned) machine->network_number;
        return segment_file_address(machine->network_of ? &other : own, number, ret);
}

static int add_job(Status *status, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_(texts_done) Texts texts = { 0 };
        _cleanup_machine_ Machine *machine = NULL;
        MachineState state = machine_state(status->settings, id);
        const char *cells[N_COLUMNS] = { [ID] = id, [STATE] = machine_state_name(state) };

        if (state == MACHINE_GONE)
                return 0;
        status->n_rows++;
        if (machine_directory_open(status->settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0)
                /* It is being made or removed, or was left by a crash: the last known state is still useful. */
                return table_add(status->table, cells);
        int r = describe_image(status, machine, &texts, cells);
        if (r < 0)
                return r;
        describe_time(status, machine, &texts, cells);
        add_usage(status, machine, &texts, cells);
        if (status->json)
                add_usage_together(status, machine, &texts, &cells[ALL_CPU], &cells[ALL_MEMORY]);
        cells[SERVICE] = machine->names ? machine->names[0] : NULL;
        cells[PROJECT] = machine->project;
        cells[JOB] = machine->job_name;
        cells[STAGE] = machine->job_stage;
        cells[DISK] = disk_of(status, id, texts.disk);
        cells[USER] = machine->started_by;
        cells[ADDRESS] = address_of(status, machine, &directory, texts.address);
        cells[BOOT] = machine->init ? "yes" : "no";
        cells[STORAGE] = machine->settings.storage;
        cells[URL] = machine->job_url;
        cells[UNTIL] = describe_until(status, &directory, &texts);
        return table_add(status->table, cells);
}

/* A row for people, below the services: what they and the job used together. */
static int add_together(Status *status, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        const char *cells[N_COLUMNS] = { [ID] = id, [SERVICE] = "(together)" };
        _cleanup_(texts_done) Texts texts = { 0 };
        _cleanup_machine_ Machine *machine = NULL;

        if (machine_directory_open(status->settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, &machine) < 0)
                return 0;
        add_usage_together(status, machine, &texts, &cells[CPU], &cells[MEMORY]);
        return cells[CPU] || cells[MEMORY] ? table_add(status->table, cells) : 0;
}

static bool contains(char *const *ids, const char *id, size_t length) {
        for (; ids && *ids; ids++)
                if (strncmp(*ids, id, length) == 0 && !(*ids)[length])
                        return true;
        return false;
}

/* Adds a job, and below it its services. Services of a job that is gone stand alone. */
static int add_with_services(Status *status, char *const *ids, const char *id) {
        _cleanup_strv_ char **services = NULL;
        size_t length;

        if (id_service_number(id, &length) > 0 && contains(ids, id, length))
                return 0;
        int r = add_job(status, id);
        if (r < 0)
                return r;
        r = services_list(status->settings, id, &services);
        if (r < 0)
                return r;
        for (char **service = services; service && *service; service++) {
                r = add_job(status, *service);
                if (r < 0)
                        return r;
        }
        return services && !status->json ? add_together(status, id) : 0;
}

static int add_all(Status *status, char *const *ids) {
        for (char *const *id = ids; id && *id; id++) {
                int r = add_with_services(status, ids, *id);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int print_jobs(const Settings *settings, bool json, bool watched) {
        Status status = { .settings = settings, .json = json, .deadline = clock_deadline(SIZES_USEC) };
        _cleanup_table_ Table *table = NULL;
        _cleanup_strv_ char **ids = NULL;

        int r = machine_list(settings, true, &ids);
        if (r < 0)
                return log_error_errno(r, "Cannot list the jobs: %m");
        r = table_new_logged("jobs", columns, json, &table);
        if (r < 0)
                return r;
        status.table = table;
        r = add_all(&status, ids);
        if (r < 0)
                return log_error_errno(r, "Cannot list the jobs: %m");
        if (watched && isatty(STDOUT_FILENO)) /* from the top, and nothing below */
                fputs("\033[H\033[J", stdout);
        r = table_print(table);
        if (r < 0)
                return log_error_errno(r, "Cannot print the jobs: %m");
        if (!json && status.n_rows == 0)
                log_notice("No jobs");
        return 0;
}

/* Repeats until a signal comes or nobody reads the output. */
static int watch(const Settings *settings, bool json) {
        for (;;) {
                int r = print_jobs(settings, json, true);
                if (r < 0)
                        return r;
                if (fflush(stdout) == EOF)
                        return -EPIPE;
                clock_sleep_usec(WATCH_USEC);
        }
}

static int run(const Invocation *invocation) {
        bool json = invocation_has(invocation, "json");

        return invocation_has(invocation, "watch") ? watch(invocation->settings, json) :
                                                     print_jobs(invocation->settings, json, false);
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { "watch", NULL, "print the list again every two seconds", 'w' },
        { 0 },
};

const Command command_status = {
        .name = "status",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "List the jobs that exist now",
};
