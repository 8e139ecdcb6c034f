/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/setting-type.h"
#include "config/value.h"

/* The settings of a machine and of the program, from one table (settings.c): the configuration file, the playbook
 * variables, the man page's test and `doctor` all read that table. */

#define RUNTIME_DIR_DEFAULT "/run/nspawn-runner"

typedef struct Settings {
        char *root_dir;        /* images and layers */
        char *runtime_dir;     /* state of the jobs that exist now */
        char *definitions_dir; /* the images' definitions */
        char *storage;         /* "auto" or the name of a storage driver */
        MemorySize tmpfs_size;
        BootMode boot;
        bool private_users;
        uint64_t uid_range;    /* users and groups that a job has; a multiple of UID_BLOCK */
        char *default_image;   /* or NULL */
        char **allowed_images; /* globs; NULL: every image */
        PullPolicy pull;
        uint64_t image_cache_size; /* bytes; UINT64_MAX: no limit */
        char *shell;               /* or NULL: bash if the image has it, else sh */
        char *bash_program;        /* "auto", "none" or a path; so is runner_program */
        char *runner_program;
        char *builds_dir; /* or NULL: what GitLab Runner's configuration says; so is cache_dir */
        char *cache_dir;
        uint64_t cpu_weight;
        MemorySize memory_high;
        MemorySize memory_max;
        uint64_t tasks_max;
        uint64_t start_timeout_usec;
        uint64_t kill_timeout_usec; /* from SIGTERM to SIGKILL when a step is cancelled */
        bool seccomp;
        char **system_call_filter; /* names and @groups allowed besides systemd-nspawn's own */
        NetworkMode network;
        char **bind; /* "SOURCE[:TARGET]" */
        char **bind_ro;
} Settings;

/* Fills @settings with the defaults. 0 or -ENOMEM. */
int settings_init(Settings *settings);
/* Frees what @settings owns; a zeroed one is fine. */
void settings_done(Settings *settings);

/* Makes @to, which must not own anything, the same as @from: 0 or -ENOMEM, with nothing in @to then. */
int settings_copy(const Settings *from, Settings *to);
/* The same with the settings of machines alone; the others are 0 and NULL in @to. */
int settings_copy_machine(const Settings *from, Settings *to);

/* Puts in what a setting stands for on this host: bytes for shares of its memory. */
void settings_resolve(Settings *settings);

/* The table never has more rows than this. */
#define SETTINGS_MAX 64

/* The table, for who lists it: setting @i, or NULL after the last. */
const SettingInfo *settings_info(size_t i);
const char *setting_name(const SettingInfo *info);
const char *setting_help(const SettingInfo *info);
/* The default as it is written in a configuration file. */
const char *setting_default(const SettingInfo *info);
/* NULL: there is no such setting. */
const SettingInfo *setting_find(const char *name);
/* True for settings that may be given for an image, too. */
bool setting_is_machine(const SettingInfo *info);
/* The setting's name that is nearest to @typed, or NULL. */
const char *setting_nearest(const char *typed);

/* Sets one setting from scalar @text: 0; -EINVAL or -ERANGE for a value that is not right, of which setting_expect() tells
 * what would be; or -ENOMEM. A list gets one more item with each call; setting_clear() empties it. */
int setting_assign(Settings *settings, const SettingInfo *info, const char *text);
bool setting_is_list(const SettingInfo *info);
/* Lists and those for which null means something can be unset, by setting_clear(); others keep their value there. */
bool setting_is_nullable(const SettingInfo *info);
void setting_clear(Settings *settings, const SettingInfo *info);
/* The value as it would be written in a configuration file ("[a, b]" for lists), to be freed: 0 or -ENOMEM. */
int setting_format(const Settings *settings, const SettingInfo *info, char **ret);

/* The row of a setting, whose Settings are at @offset in a struct, for base/record.h. Times are microseconds, sizes bytes:
 * of settings that went through settings_resolve(). Only what may be null may be missing. */
RecordField setting_record(const SettingInfo *info, size_t offset);

/* The value of a setting. */
void *setting_field(const Settings *settings, const SettingInfo *info);
/* Puts one setting of @from over that of @to: 0 or -ENOMEM. */
int setting_copy(const Settings *from, Settings *to, const SettingInfo *info);
