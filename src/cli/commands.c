/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/command.h"

const CommandOption global_options[] = {
        { "verbose", NULL, "say what is being done", 'v' },
        { "debug", NULL, "say more, for who looks for an error", 0 },
        { "config", "FILE", "configuration file instead of /etc/nspawn-runner.yaml", 0 },
        { "root", "DIR", "directory of the images, instead of what the configuration says", 0 },
        { "help", NULL, "show help, on a command too, and exit", 'h' },
        { "version", NULL, "show the version and exit", 0 },
        { 0 },
};

static const CommandOption prepare_options[] = {
        { "default-image", "IMAGE", "image of jobs that name none", 0 },
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

static const CommandOption run_options[] = {
        { "shell", "SHELL", "shell that runs the script, by name or path inside the image", 0 },
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

static const CommandOption cleanup_options[] = {
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

static const CommandOption chroot_create_options[] = {
        { "suite", "SUITE", "release of Debian or Ubuntu, such as bookworm; default: the host's", 0 },
        { 0 },
};

static const CommandOption chroot_maintenance_options[] = {
        { "jobs", "N", "work on N images at a time; default: 1", 0 },
        { 0 },
};

static const CommandOption chroot_login_options[] = {
        { "publish", NULL, "make the copy the next generation when the shell ends with 0, without asking", 0 },
        { "discard", NULL, "throw the copy away", 0 },
        { 0 },
};

static const CommandOption chroot_diff_options[] = {
        { "files", NULL, "show files, too, and not only packages", 0 },
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

static const CommandOption json_options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

static const CommandOption chroot_remove_options[] = {
        { "yes", NULL, "do not ask", 0 },
        { 0 },
};

static const CommandOption gc_options[] = {
        { "dry-run", NULL, "only list what would be removed", 0 },
        { 0 },
};

const Command commands[] = {
        { "gitlab-config", "", 0, 0, NULL, COMMAND_STAGE, cmd_gitlab_config,
          "Tell GitLab Runner how to use this driver" },
        { "prepare", "[IMAGE]", 0, 1, prepare_options, COMMAND_STAGE, cmd_prepare, "Start the machine of a job" },
        { "run", "SCRIPT [STAGE]", 1, 2, run_options, COMMAND_STAGE, cmd_run,
          "Run one script in the machine of a job" },
        { "cleanup", "", 0, 0, cleanup_options, COMMAND_STAGE, cmd_cleanup,
          "Stop the machine of a job and remove all of the job" },
        { "supervise", "DIRECTORY", 1, 1, NULL, COMMAND_HIDDEN | COMMAND_BAD_CONFIG, cmd_supervise,
          "Be the parent of a job's container" },
        { "machine-exec", "ROOT COMMAND [ARGUMENT...]", 2, COMMAND_ARGUMENTS_ANY, NULL,
          COMMAND_HIDDEN | COMMAND_STATUS | COMMAND_BAD_CONFIG, cmd_machine_exec,
          "Run a command of ansible's in the machine of an image" },

        { "chroot-create", "NAME", 1, 1, chroot_create_options, COMMAND_DEFINITION, cmd_chroot_create,
          "Make an image: as its definition says, or of Debian or Ubuntu" },
        { "chroot-maintenance", "[NAME...]", 0, COMMAND_ARGUMENTS_ANY, chroot_maintenance_options, COMMAND_DEFINITION,
          cmd_chroot_maintenance, "Make the images that have definitions, and bring them up to date" },
        { "chroot-list", "", 0, 0, json_options, 0, cmd_chroot_list, "List the images and their generations" },
        { "chroot-login", "NAME", 1, 1, chroot_login_options, COMMAND_STATUS, cmd_chroot_login,
          "Open a shell in a copy of an image, to change it" },
        { "chroot-run", "NAME -- COMMAND [ARGUMENT...]", 2, COMMAND_ARGUMENTS_ANY, NULL, COMMAND_STATUS, cmd_chroot_run,
          "Run a command in a throw-away container of an image" },
        { "chroot-diff", "NAME [GENERATION]", 1, 2, chroot_diff_options, 0, cmd_chroot_diff,
          "Show what changed in an image since an earlier generation" },
        { "chroot-rollback", "NAME [GENERATION]", 1, 2, NULL, 0, cmd_chroot_rollback,
          "Make an earlier generation of an image the current one" },
        { "chroot-remove", "NAME", 1, 1, chroot_remove_options, COMMAND_STATUS, cmd_chroot_remove,
          "Remove an image with all its generations" },
        { "toml", "[NAME]", 0, 1, NULL, 0, cmd_toml, "Print the section of an image for GitLab Runner's config.toml" },
        { "doctor", "", 0, 0, NULL, COMMAND_STATUS | COMMAND_BAD_CONFIG, cmd_doctor,
          "Check whether this host can run jobs" },
        { "status", "", 0, 0, json_options, 0, cmd_status, "List the jobs that exist now" },
        { "gc", "", 0, 0, gc_options, 0, cmd_gc, "Remove what no living job owns" },
        { 0 },
};
