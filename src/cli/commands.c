/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of all commands, in the order of help, and the options that all of them take. Dispatch, help, completions
 * and the tests of man pages read it. Nothing about a single command may be here: its entry stands in its file. */

#include "cli/commands.h"

const CommandOption global_options[] = {
        { "verbose", NULL, "say what is being done", 'v' },
        { "quiet", NULL, "print only warnings and errors", 'q' },
        { "debug", NULL, "log details for debugging", 0 },
        { "config", "FILE", "configuration file instead of /etc/nspawn-runner.yaml", 0 },
        { "root", "DIR", "directory of the images, instead of the configuration's", 0 },
        { "help", NULL, "show help, or the help of the given command, and exit", 'h' },
        { "version", NULL, "show the version and exit", 0 },
        { 0 },
};

const Command *const commands[] = {
        &command_gitlab_config,
        &command_prepare,
        &command_run,
        &command_cleanup,
        &command_supervise,
        &command_empty_trash,
        &command_measure_kept,
        &command_end_kept,
        &command_exec_step,
        &command_machine_exec,
        &command_complete,
        &command_chroot_create,
        &command_chroot_maintenance,
        &command_chroot_list,
        &command_chroot_login,
        &command_chroot_run,
        &command_chroot_diff,
        &command_chroot_rollback,
        &command_chroot_remove,
        &command_chroot_copy,
        &command_chroot_rename,
        &command_chroot_export,
        &command_chroot_push,
        &command_chroot_pull,
        &command_check,
        &command_setup,
        &command_toml,
        &command_exec,
        &command_doctor,
        &command_status,
        &command_logs,
        &command_shell,
        &command_job_diff,
        &command_job_copy,
        &command_gc,
        &command_df,
        &command_metrics,
        &command_prune,
        &command_cache,
        NULL,
};
