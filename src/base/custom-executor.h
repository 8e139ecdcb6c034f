/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What GitLab Runner's custom executor tells the program that it calls by environment variables, and its usual directories
 * (https://docs.gitlab.com/runner/executors/custom/). gitlab/ reads it; local/ says the same to the commands that it calls in
 * its place. */

/* In front of the name of each variable of the job. The job chooses them: they prove nothing. */
#define CUSTOM_ENV_PREFIX "CUSTOM_ENV_"

/* Path of the job as GitLab sent it (gitlab-runner 14.1). */
#define JOB_RESPONSE_VARIABLE "JOB_RESPONSE_FILE"

/* Exit statuses for what the job's own commands did, and for what we did; and where the former is to be written
 * (gitlab-runner 17.9). */
#define BUILD_FAILURE_VARIABLE "BUILD_FAILURE_EXIT_CODE"
#define SYSTEM_FAILURE_VARIABLE "SYSTEM_FAILURE_EXIT_CODE"
#define EXIT_CODE_VARIABLE "BUILD_EXIT_CODE_FILE"

/* GitLab Runner's own configuration. */
#define RUNNER_CONFIG_FILE "/etc/gitlab-runner/config.toml"

/* Where projects are checked out in a container, and where GitLab Runner keeps caches there, unless it is told otherwise. */
#define BUILDS_DIR_DEFAULT "/builds"
#define CACHE_DIR_DEFAULT "/cache"
