/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"

/* All commands, in the order of help; NULL behind the last. Dispatch, help, "did you mean", and the tests of completions
 * and man pages read this. Each command's entry stands in its own file. */
extern const Command *const commands[];

/* The options that every command takes, before its name or behind it; ends with an empty one. */
extern const CommandOption global_options[];

extern const Command command_gitlab_config;
extern const Command command_prepare;
extern const Command command_run;
extern const Command command_shell;
extern const Command command_job_diff;
extern const Command command_job_copy;
extern const Command command_cleanup;
extern const Command command_supervise;
extern const Command command_empty_trash;
extern const Command command_measure_kept;
extern const Command command_end_kept;
extern const Command command_machine_exec;
extern const Command command_complete;
extern const Command command_chroot_create;
extern const Command command_chroot_maintenance;
extern const Command command_chroot_list;
extern const Command command_chroot_login;
extern const Command command_chroot_run;
extern const Command command_chroot_diff;
extern const Command command_chroot_rollback;
extern const Command command_chroot_remove;
extern const Command command_chroot_copy;
extern const Command command_chroot_rename;
extern const Command command_chroot_export;
extern const Command command_chroot_push;
extern const Command command_chroot_pull;
extern const Command command_check;
extern const Command command_setup;
extern const Command command_toml;
extern const Command command_exec;
extern const Command command_exec_step;
extern const Command command_doctor;
extern const Command command_status;
extern const Command command_logs;
extern const Command command_gc;
extern const Command command_df;
extern const Command command_metrics;
extern const Command command_prune;
extern const Command command_cache;
