/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `gitlab-config`: GitLab Runner calls it first for a job and reads JSON from its standard output. Must not
 * fail because the job cannot be told: `prepare` reports that. */

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "container/machine.h"
#include "gitlab/job.h"

/* GitLab Runner's name for the kind of script that @shell runs, or NULL: it writes scripts for bash by itself, and takes
 * an unknown name for an error. */
static const char *script_kind(const char *shell) {
        static const char *const names[] = { "bash", "sh", "pwsh" };
        const char *slash = shell ? strrchr(shell, '/') : NULL, *name = slash ? slash + 1 : shell;

        for (size_t i = 0; name && i < ELEMENTSOF(names); i++)
                if (streq(name, names[i]))
                        return names[i];
        return NULL;
}

/* The job's log shows it as "Running on HOST via ...": the host name of the job's container. Without a job, and when the job
 * cannot be told, of which `prepare` will complain, it is this host's. */
static int machine_hostname(const Settings *settings, char **ret) {
        _cleanup_job_spec_ JobSpec job = { 0 };
        char host[HOST_NAME_MAX + 1];
        Problem problem = { 0 };

        if (gitlab_job_read(settings->runtime_dir, NULL, &job, &problem) >= 0)
                return machine_name(settings->runtime_dir, job.id, ret);
        log_debug("%s", problem.text);
        if (gethostname(host, sizeof(host)) < 0)
                return -errno;
        return string_replace(ret, host);
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        _cleanup_free_ char *hostname = NULL;

        if (machine_hostname(settings, &hostname) == -ENOMEM)
                return log_oom();

        /* Empty strings would mean "not configured" to GitLab Runner; absent keys leave its own values. */
        json_t *config = json_pack("{s:{s:s, s:s}, s:s*, s:s*, s:b, s:s*, s:s*}", "driver", "name", "nspawn-runner",
                                   "version", VERSION, "builds_dir", settings->builds_dir, "cache_dir",
                                   settings->cache_dir, "builds_dir_is_shared", 0, "hostname", hostname, "shell",
                                   script_kind(settings->shell));
        if (!config)
                return log_oom();

        int r = json_dumpf(config, stdout, JSON_INDENT(2));
        json_decref(config);
        if (r < 0 || putchar('\n') == EOF)
                return log_error_errno(errno, "Cannot write the configuration: %m");
        return 0;
}

const Command command_gitlab_config = {
        .name = "gitlab-config",
        .synopsis = "",
        .flags = COMMAND_STAGE,
        .run = run,
        .help = "Tell GitLab Runner how to use this driver",
};
