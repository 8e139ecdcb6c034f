/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The table of settings: nothing else may know a setting's name, type, default, help and check. The configuration file,
 * definitions, help, the plan of a container and the test of the man page use it. A new setting is a row here and a
 * field of Settings. */

#include "config/settings.h"

#include "base/custom-executor.h"
#include "base/string.h"
#include "config/setting-check.h"

/* In a smaller size, somebody forgot the suffix. */
#define MEMORY_MIN (UINT64_C(1) << 20)

/* What a container and a checkout need at least. */
#define DISK_MIN (UINT64_C(16) << 20)

#define NAMED(setting, field, kind) .name = setting, .type = &setting_##kind, .offset = offsetof(Settings, field)
#define ROW(field, kind) NAMED(#field, field, kind)
#define MACHINE(field, kind) ROW(field, kind), .machine = true

#define EXPECT_PATH "an absolute path without '.', '..', doubled or trailing slashes"
#define EXPECT_PROGRAM "auto, none, or " EXPECT_PATH
#define EXPECT_MEMORY "at least 1M (is a suffix K, M, G or T missing?) and at most 100%"
#define EXPECT_SIZE "at least 1M (is a suffix K, M, G or T missing?)"
#define EXPECT_PULL "always, if-not-present or never, or a list of these"
#define EXPECT_BIND "SOURCE or SOURCE:TARGET, absolute paths without '.', '..' and doubled slashes, TARGET not /"

/* The order is that of the documentation. */
static const SettingInfo table[] = {
        { ROW(root_dir, string), .default_text = "/var/lib/nspawn-runner",
          .help = "directory of the images, and of the changes that jobs make", .check = text_is_absolute_path,
          .expect = EXPECT_PATH },
        { ROW(runtime_dir, string), .default_text = RUNTIME_DIR_DEFAULT,
          .help = "directory for the state of the jobs that exist now, on a tmpfs", .check = text_is_runtime_dir,
          .expect = EXPECT_PATH ", and at most 50 bytes long, because names of sockets have a limit" },
        { MACHINE(storage, string), .default_text = "auto", .help = "how a job gets its own copy of the image",
          .check = text_is_storage, .expect = "auto, overlay, btrfs or tmpfs" },
        { MACHINE(tmpfs_size, memory), .default_text = "20%", .help = "how much a job may write with storage tmpfs",
          .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { MACHINE(disk_max, size), .default_text = "infinity", .help = "how much a job may write to its disk",
          .min = DISK_MIN, .expect = "at least 16M (is a suffix K, M, G or T missing?), or infinity" },
        { MACHINE(boot, boot), .default_text = "auto",
          .help = "start the image's systemd (auto: if it has one), so that jobs can use services" },
        { MACHINE(private_users, boolean), .default_text = "yes",
          .help = "map the users of each job to a range of its own: root inside is not root of the host" },
        { MACHINE(uid_range, number), .default_text = "196608",
          .help = "how many users and groups a job has, with private_users", .min = UID_BLOCK, .max = UID_RANGE_MAX,
          .multiple_of = UID_BLOCK, .expect = "a multiple of 65536 from 65536 to 4194304" },
        { ROW(definitions_dir, string), .default_text = "/etc/nspawn-runner",
          .help = "directory of the images' definitions", .check = text_is_absolute_path, .expect = EXPECT_PATH },
        { ROW(default_image, optional_string), .default_text = "null", .help = "image of jobs that name none",
          .check = text_is_image_name,
          .expect =
                  "the name of an image: printable ASCII without blanks, not beginning with '.' or '-'; with '/' one of a "
                  "registry" },
        { ROW(default_registry, optional_string), .default_text = "null",
          .help = "registry of images that are named without one and are not on this host, such as docker.io",
          .check = text_is_registry,
          .expect = "HOST or HOST:PORT, where the host has a dot in it, or a port, or is localhost" },
        { ROW(allowed_images, list), .default_text = "[]",
          .help = "patterns (as in *-small) of images that jobs may name; empty: all", .check = text_is_image_glob,
          .expect = "names or patterns of images, without control characters" },
        { ROW(allowed_services, list), .default_text = "[]", .help = "the same for the images of services",
          .check = text_is_image_glob, .expect = "names or patterns of images, without control characters" },
        { ROW(pull, texts), .default_text = "never",
          .help = "fetch images of registries that jobs name: always, if-not-present or never",
          .check = text_is_pull_policy, .expect = EXPECT_PULL },
        { ROW(allowed_pull_policies, list), .default_text = "[]",
          .help = "pull policies that jobs may choose; empty: those that ask as often as pull, or more often",
          .check = text_is_pull_policy, .expect = EXPECT_PULL },
        { ROW(image_cache_size, size), .default_text = "20G",
          .help = "room for images of registries; the least recently used are removed first", .min = MEMORY_MIN,
          .expect = EXPECT_SIZE },
        { ROW(disk_reserve, space), .default_text = "5%",
          .help = "room on the disk that has to be free before a job starts; 0: any" },
        { ROW(metrics_file, optional_string), .default_text = "null",
          .help = "file for Prometheus' textfile collector, with what jobs used", .check = text_is_absolute_path,
          .expect = EXPECT_PATH },
        { MACHINE(report, boolean), .default_text = "no", .help = "say at the end of a job's log what the job used" },
        { MACHINE(shell, optional_string), .default_text = "null",
          .help = "shell that runs the scripts; null: bash of the image, else bash_program, else sh",
          .check = text_is_shell, .expect = "an absolute path or the bare name of a program" },
        { MACHINE(helper_image, string), .default_text = "auto",
          .help = "image for GitLab Runner's own steps: auto (where the job's lacks programs), a name or none",
          .check = text_is_helper_image, .expect = "auto, none, or the name of an image" },
        { MACHINE(bash_program, string), .default_text = "auto",
          .help = "static bash of the host for images without bash: auto, a path or none", .check = text_is_program,
          .expect = EXPECT_PROGRAM },
        { MACHINE(runner_program, string), .default_text = "auto",
          .help = "gitlab-runner of the host for caches and artifacts: auto, a path or none", .check = text_is_program,
          .expect = EXPECT_PROGRAM },
        { ROW(builds_dir, optional_string), .default_text = BUILDS_DIR_DEFAULT,
          .help = "directory inside the container where projects are checked out; null: GitLab Runner's own",
          .check = text_is_absolute_path, .expect = EXPECT_PATH },
        { ROW(cache_dir, optional_string), .default_text = CACHE_DIR_DEFAULT,
          .help = "directory inside the container for GitLab's caches; null: GitLab Runner's own",
          .check = text_is_absolute_path, .expect = EXPECT_PATH },
        { MACHINE(cache, cache), .default_text = "project",
          .help = "who shares cache_dir: jobs of a project, all jobs (shared), or nobody (none)" },
        { ROW(cache_size, size), .default_text = "20G",
          .help = "room for all caches; the least recently used are removed first", .min = MEMORY_MIN,
          .expect = EXPECT_SIZE },
        { MACHINE(builds, builds), .default_text = "ephemeral",
          .help = "whether builds_dir is kept for later jobs of the project: ephemeral, persistent" },
        { ROW(builds_size, size), .default_text = "20G",
          .help = "room for kept working copies; the least recently used are removed first", .min = MEMORY_MIN,
          .expect = EXPECT_SIZE },
        { MACHINE(cpu_weight, number), .default_text = "50",
          .help = "CPU share of a job when CPUs are busy; other processes normally have 100", .min = 1, .max = 10000,
          .expect = "a number from 1 to 10000" },
        { MACHINE(memory_high, memory), .default_text = "30%", .help = "memory above which a job is slowed down",
          .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { MACHINE(memory_max, memory), .default_text = "40%", .help = "memory above which a job's processes are killed",
          .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { MACHINE(tasks_max, number), .default_text = "16384", .help = "how many processes and threads a job may have",
          .min = 1, .expect = "a number above 0, or infinity" },
        { ROW(service_cpu_weight, optional_number), .default_text = "null",
          .help = "cpu_weight of services; null: as jobs", .min = 1, .max = 10000,
          .expect = "a number from 1 to 10000, or null" },
        { ROW(service_memory_high, optional_memory), .default_text = "null",
          .help = "memory_high of services; null: as jobs", .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { ROW(service_memory_max, optional_memory), .default_text = "null",
          .help = "memory_max of services; null: as jobs", .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { ROW(service_tasks_max, optional_number), .default_text = "null",
          .help = "tasks_max of services; null: as jobs", .min = 1, .expect = "a number above 0, infinity, or null" },
        { MACHINE(job_memory_high, optional_memory), .default_text = "null",
          .help = "memory above which a job and its services together are slowed down; null: no limit",
          .min = MEMORY_MIN, .expect = EXPECT_MEMORY },
        { MACHINE(job_memory_max, optional_memory), .default_text = "null",
          .help = "memory above which processes of a job or its services are killed; null: no limit", .min = MEMORY_MIN,
          .expect = EXPECT_MEMORY },
        { MACHINE(job_tasks_max, optional_number), .default_text = "null",
          .help = "how many processes and threads a job and its services may have together; null: no limit", .min = 1,
          .expect = "a number above 0, infinity, or null" },
        { NAMED("wait_for_services_timeout", wait_for_services_usec, wait), .default_text = "30s",
          .help = "how long a job waits for its services to get ready; negative: not at all", .min = USEC_PER_SEC,
          .expect = "at least 1s, or negative" },
        { NAMED("start_timeout", start_timeout_usec, time), .machine = true, .default_text = "60s",
          .help = "how long a container may take to start", .min = USEC_PER_SEC, .expect = "at least 1s" },
        { NAMED("kill_timeout", kill_timeout_usec, time), .machine = true, .default_text = "10s",
          .help = "how long the processes of a cancelled step may take to end before they are killed" },
        { NAMED("keep_failed", keep_failed_usec, time), .default_text = "0s",
          .help = "how long the container of a failed job stays, to look into it; 0: not at all" },
        { ROW(keep_failed_max, number), .default_text = "3",
          .help = "how many containers of failed jobs stay at most; those that were kept longest are removed", .min = 1,
          .max = 1000, .expect = "a number from 1 to 1000" },
        { NAMED("keep_failed_size", keep_failed_size_bytes, size), .default_text = "20G",
          .help = "room for what they have written together; those that were kept longest are removed",
          .min = MEMORY_MIN, .expect = EXPECT_SIZE },
        { MACHINE(seccomp, boolean), .default_text = "yes", .help = "refuse system calls that containers do not need" },
        { MACHINE(system_call_filter, list), .default_text = "[]",
          .help = "more system calls and @groups to allow, as in ['@keyring', bpf]", .check = text_is_system_call,
          .expect = "names of system calls, or of groups of them as in @keyring" },
        { MACHINE(network, network), .default_text = "private",
          .help = "network of the jobs: one of their own with a way out, the host's, or none" },
        { MACHINE(maintenance_network, network), .default_text = "host",
          .help = "network of work on images (playbooks, chroot-login): private, host or none" },
        { MACHINE(network_backend, network_backend), .default_text = "auto",
          .help = "how private networks get out: by the host's kernel, or by pasta where that does not work" },
        { MACHINE(network_pool, string), .default_text = "auto",
          .help = "addresses for private networks; auto: one of three networks that the host does not use",
          .check = text_is_network_pool,
          .expect = "auto, or a network of IPv4 such as 10.20.0.0/16, with a prefix from /10 to /26" },
        { MACHINE(egress, list), .default_text = "[]",
          .help = "what private networks reach, as in 'deny 10.0.0.0/8'; the first match decides",
          .check = text_is_egress_rule,
          .expect = "rules: allow or deny, a network or any, and perhaps tcp, udp or icmp, and ports" },
        { MACHINE(bind, list), .default_text = "[]",
          .help = "files and directories of the host, writable inside, as SOURCE[:TARGET]", .check = text_is_bind,
          .expect = EXPECT_BIND },
        { MACHINE(bind_ro, list), .default_text = "[]", .help = "the same, read-only", .check = text_is_bind,
          .expect = EXPECT_BIND },
};

_Static_assert(ELEMENTSOF(table) <= SETTINGS_MAX, "SETTINGS_MAX is too small for the table");

void *setting_field(const Settings *settings, const SettingInfo *info) {
        return (char *) settings + info->offset;
}

int settings_init(Settings *settings) {
        *settings = (Settings){ 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                /* A zeroed value is already null, or an empty list. */
                if (streq(table[i].default_text, "[]") || streq(table[i].default_text, "null"))
                        continue;
                int r = table[i].type->assign(table + i, table[i].default_text, setting_field(settings, table + i));
                if (r < 0) {
                        settings_done(settings);
                        return r;
                }
        }
        return 0;
}

void settings_done(Settings *settings) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].type->clear)
                        table[i].type->clear(setting_field(settings, table + i));
}

static int copy_rows(const Settings *from, Settings *to, bool machine_only) {
        *to = (Settings){ 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                if (machine_only && !table[i].machine)
                        continue;
                int r = setting_copy(from, to, table + i);
                if (r < 0) {
                        settings_done(to);
                        return r;
                }
        }
        return 0;
}

int settings_copy(const Settings *from, Settings *to) {
        return copy_rows(from, to, false);
}

int settings_copy_machine(const Settings *from, Settings *to) {
        return copy_rows(from, to, true);
}

void settings_resolve(Settings *settings) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (table[i].type->resolve)
                        table[i].type->resolve(setting_field(settings, table + i));
}

RecordField setting_record(const SettingInfo *info, size_t offset) {
        return (RecordField){
                .key = info->name,
                .type = info->type->record,
                .offset = offset + info->offset,
                .required = !info->type->nullable,
                .choices = info->type->choices,
        };
}

const SettingInfo *settings_info(size_t i) {
        return i < ELEMENTSOF(table) ? table + i : NULL;
}

const char *setting_name(const SettingInfo *info) {
        return info->name;
}

const char *setting_help(const SettingInfo *info) {
        return info->help;
}

const char *setting_default(const SettingInfo *info) {
        return info->default_text;
}

const SettingInfo *setting_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].name, name))
                        return table + i;
        return NULL;
}

bool setting_is_machine(const SettingInfo *info) {
        return info->machine;
}

static const char *table_name(_unused_ const void *userdata, size_t i) {
        return i < ELEMENTSOF(table) ? table[i].name : NULL;
}

const char *setting_nearest(const char *typed) {
        int i = nearest_name(typed, table_name, NULL);
        return i < 0 ? NULL : table[i].name;
}

int setting_assign(Settings *settings, const SettingInfo *info, const char *text) {
        return info->type->assign(info, text, setting_field(settings, info));
}

int setting_copy(const Settings *from, Settings *to, const SettingInfo *info) {
        return info->type->copy(setting_field(from, info), setting_field(to, info));
}

void setting_clear(Settings *settings, const SettingInfo *info) {
        if (info->type->nullable)
                info->type->clear(setting_field(settings, info));
}

int setting_format(const Settings *settings, const SettingInfo *info, char **ret) {
        return info->type->format(setting_field(settings, info), ret);
}
