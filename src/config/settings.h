/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/setting-type.h"
#include "config/value.h"

/* The settings of the program and of containers. One table (settings.c) describes them: configuration file, definitions,
 * plan, help, the man page's test and `doctor` read it. */

#define RUNTIME_DIR_DEFAULT "/run/nspawn-runner"

typedef struct Settings {
        char *root_dir;        /* images and layers */
        char *runtime_dir;     /* state of the jobs that exist now */
        char *definitions_dir; /* the images' definitions */
        char *storage;         /* "auto" or the name of a storage driver */
        MemorySize tmpfs_size;
        uint64_t disk_max; /* bytes that a job may write; UINT64_MAX: no limit */
        BootMode boot;
        bool private_users;
        uint64_t uid_range;                   /* users and groups that a job has; a multiple of UID_BLOCK */
        char *default_image;                  /* or NULL */
        char *default_registry;               /* of names without one; or NULL */
        char **allowed_images;                /* globs; NULL: every image */
        char **allowed_services;              /* the same for services */
        char **pull, **allowed_pull_policies; /* pull_policy_parse() knows all of them */
        uint64_t image_cache_size;            /* bytes; UINT64_MAX: no limit */
        MemorySize disk_reserve;              /* of the file system of root_dir: how much room to keep free */
        char *metrics_file;                   /* or NULL */
        bool report;                          /* jobs print at their end what they used */
        char *shell;                          /* or NULL: bash of the image, else bash_program, else sh */
        char *helper_image;                   /* "auto", "none" or the name of an image */
        char *bash_program;                   /* "auto", "none" or a path; the same for runner_program */
        char *runner_program;
        char *builds_dir; /* or NULL: what GitLab Runner's configuration says; the same for cache_dir */
        char *cache_dir;
        CacheMode cache;
        uint64_t cache_size; /* bytes; UINT64_MAX: no limit; so is builds_size */
        BuildsMode builds;
        uint64_t builds_size;
        uint64_t cpu_weight;
        MemorySize memory_high;
        MemorySize memory_max;
        uint64_t tasks_max;
        /* For services, instead of those above; 0: the same as above. */
        uint64_t service_cpu_weight;
        MemorySize service_memory_high;
        MemorySize service_memory_max;
        uint64_t service_tasks_max;
        /* For all containers of a job together; 0: no limit. */
        MemorySize job_memory_high;
        MemorySize job_memory_max;
        uint64_t job_tasks_max;
        uint64_t wait_for_services_usec; /* 0: not at all */
        uint64_t start_timeout_usec;
        uint64_t kill_timeout_usec; /* from SIGTERM to SIGKILL when a step is cancelled */
        uint64_t keep_failed_usec;  /* 0: not at all */
        uint64_t keep_failed_max;
        uint64_t keep_failed_size_bytes;
        bool seccomp;
        char **system_call_filter; /* names and @groups to allow in addition to systemd-nspawn's */
        NetworkMode network, maintenance_network;
        WayOut network_backend;
        char **egress;      /* rules (config/egress-rule.h) */
        char *network_pool; /* "auto" or a network of IPv4 */
        char **bind;        /* "SOURCE[:TARGET]" */
        char **bind_ro;
} Settings;

/* Fills @settings with the defaults. 0 or -ENOMEM. */
int settings_init(Settings *settings);
/* Frees what @settings owns; it may be zeroed. */
void settings_done(Settings *settings);

/* Copies @from to @to, which must not own anything before. 0, or -ENOMEM with nothing in @to. */
int settings_copy(const Settings *from, Settings *to);
/* The same for the settings of containers only; the others are 0 and NULL in @to. */
int settings_copy_machine(const Settings *from, Settings *to);

/* Replaces settings that depend on this host by what they mean here: shares of its memory by bytes. */
void settings_resolve(Settings *settings);

/* The table has at most this many rows. */
#define SETTINGS_MAX 64

/* Returns row @i of the table, or NULL after the last. */
const SettingInfo *settings_info(size_t i);
const char *setting_name(const SettingInfo *info);
const char *setting_help(const SettingInfo *info);
/* Returns the default as a configuration file has it. Static. */
const char *setting_default(const SettingInfo *info);
/* Finds the setting @name; NULL: there is none. */
const SettingInfo *setting_find(const char *name);
/* May an image's definition give this setting, too? */
bool setting_is_machine(const SettingInfo *info);
/* Returns the name of the setting that @typed may have meant (static text), or NULL. */
const char *setting_nearest(const char *typed);

/* Sets one setting from @text. 0; -EINVAL or -ERANGE: the value is wrong, and setting_expect() says what would be
 * right; or -ENOMEM. A list gets one more item with each call; setting_clear() empties it. */
int setting_assign(Settings *settings, const SettingInfo *info, const char *text);
/* Unsets the setting; does nothing to those that cannot be unset, as lists and those that may be null can. */
void setting_clear(Settings *settings, const SettingInfo *info);
/* Makes the value's text for a configuration file ("[a, b]" for lists). *ret is to be freed. 0 or -ENOMEM. */
int setting_format(const Settings *settings, const SettingInfo *info, char **ret);

/* Describes a setting as a field of a record (base/record.h) of a struct that has Settings at @offset. Times are in
 * microseconds, sizes in bytes, so call settings_resolve() first. Only settings that may be null may be missing. */
RecordField setting_record(const SettingInfo *info, size_t offset);

/* Returns the address of a setting's value in @settings. */
void *setting_field(const Settings *settings, const SettingInfo *info);
/* Copies one setting of @from to @to. 0, or -ENOMEM with @to as it was. */
int setting_copy(const Settings *from, Settings *to, const SettingInfo *info);
