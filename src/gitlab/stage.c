/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Tells the stages of a job that GitLab Runner writes by itself from those that hold the job's own commands. `run` asks
 * this to choose the root and the programs for a script. Only names count: scripts must not be read. */

#include "gitlab/stage.h"

#include <string.h>

#include "base/string.h"

static const char *const own[] = {
        "prepare_script",
        "get_sources",
        "clear_worktree",
        "restore_cache",
        "download_artifacts",
        "archive_cache",
        "archive_cache_on_failure",
        "upload_artifacts_on_success",
        "upload_artifacts_on_failure",
        "cleanup_file_variables",
};

bool gitlab_stage_is_own(const char *stage) {
        for (size_t i = 0; stage && i < ELEMENTSOF(own); i++)
                if (streq(stage, own[i]))
                        return true;
        return false;
}

bool gitlab_stage_decides(const char *stage) {
        static const char *const others[] = {
                "after_script",           "archive_cache", "archive_cache_on_failure", "upload_artifacts_on_failure",
                "cleanup_file_variables",
        };

        for (size_t i = 0; stage && i < ELEMENTSOF(others); i++)
                if (streq(stage, others[i]))
                        return false;
        return true;
}

bool gitlab_shell_is_powershell(const char *shell) {
        const char *slash = shell ? strrchr(shell, '/') : NULL, *name = slash ? slash + 1 : shell;

        return name && (streq(name, "pwsh") || streq(name, "powershell"));
}
