/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "command/command.h"

/* What `doctor` looks at: one row for each line that it prints, in tables by what they are about. */

typedef enum CheckResult {
        CHECK_OK,
        CHECK_MISSING, /* jobs cannot run if the row is required; else a note */
        CHECK_NOTE,    /* jobs run, but somebody should know this */
} CheckResult;

#define CHECK_DETAIL_MAX 4096

typedef struct Check {
        const char *name;
        /* Says in @ret_detail what was found, in a few words or not at all. */
        CheckResult (*run)(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]);
        bool (*required)(const Settings *settings); /* NULL: always */
        const char *why;                            /* what it is for */
        const char *remedy;                         /* what to install or do */
} Check;

/* Each ends with an empty row. */
extern const Check doctor_program_checks[], doctor_library_checks[], doctor_kernel_checks[], doctor_host_checks[],
        doctor_directory_checks[], doctor_security_checks[], doctor_image_checks[], doctor_network_checks[],
        doctor_runner_checks[];

/* Names the runners of GitLab Runner's config.toml, whose text is @text, that call this program and do not say whether jobs may
 * set GIT_CLONE_PATH. *ret_names is for strv_free(); NULL: none. 0, -ENOMEM, or -EINVAL with @reterr_problem filled in. */
int doctor_runners_without_clone_path(const char *text, char ***ret_names, Problem *reterr_problem);

/* Check.required of rows about something optional: always false. */
bool check_optional(const Settings *settings);

/* Writes to the detail. Returns @result. */
CheckResult check_say(CheckResult result, char detail[static CHECK_DETAIL_MAX], const char *format, ...) _printf_(3, 4);
/* CHECK_OK for @r >= 0, else CHECK_MISSING with the error's name. */
CheckResult check_errno(int r, char detail[static CHECK_DETAIL_MAX]);

/* Makes all checks and prints a line for each; with @terse only for those that keep jobs from running. Returns how
 * many of these there are. */
unsigned doctor_check(const Invocation *invocation, bool terse);
/* The same for programs: prints one JSON document with all checks. 0, or a negative errno, logged. */
int doctor_check_json(const Invocation *invocation, unsigned *ret_n_missing);

/* Calls @what in a child process with a mount namespace of its own, so that all its mounts are gone afterwards.
 * Returns what @what returned (0 or -errno), or -errno if it could not be called. */
int check_in_child(int (*what)(const void *userdata), const void *userdata);
