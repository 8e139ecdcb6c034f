/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: what GitLab Runner's own configuration says of the runners whose jobs come to this program. The file is
 * only read, and may be missing: GitLab Runner can have another one. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/string.h"
#include "config/toml-file.h"
#include "doctor/check.h"

#define FILE_BYTES_MAX (4 << 20)
#define RUNNERS "runners"
#define PROGRAM "nspawn-runner"

/* The value of @key in table @name of a runner, whose tables are [first, end) of the file, however it is written. */
static const TomlValue *find_value(const TomlFile *file, size_t first, size_t end, const char *name, const char *key) {
        char whole[128], below[128];

        snprintf(whole, sizeof(whole), "%s.%s", name, key);
        snprintf(below, sizeof(below), RUNNERS ".%s", name);
        const TomlValue *value = toml_file_value(file, first, whole);
        /* A table in braces: what is in it is not looked at. */
        if (!value)
                value = toml_file_value(file, first, name);
        for (size_t i = first + 1; !value && i < end; i++)
                if (streq(file->tables[i].name, below))
                        value = toml_file_value(file, i, key);
        return value;
}

static bool calls_us(const TomlValue *program) {
        const char *path = program ? program->string : NULL, *slash = path ? strrchr(path, '/') : NULL;

        return path && streq(slash ? slash + 1 : path, PROGRAM);
}

int doctor_runners_without_clone_path(const char *text, char ***ret_names, Problem *reterr_problem) {
        _cleanup_toml_file_ TomlFile file = { 0 };
        _cleanup_strv_ char **names = NULL;

        int r = toml_file_parse(text, &file, reterr_problem);
        if (r < 0)
                return r;
        for (size_t first = 1, end; first < file.n_tables; first = end) {
                for (end = first + 1; end < file.n_tables && !streq(file.tables[end].name, RUNNERS);)
                        end++;
                if (!streq(file.tables[first].name, RUNNERS) ||
                    !calls_us(find_value(&file, first, end, "custom", "run_exec")) ||
                    find_value(&file, first, end, "custom_build_dir", "enabled"))
                        continue;
                const TomlValue *name = toml_file_value(&file, first, "name");
                r = strv_extend(&names, name && name->string ? name->string : "");
                if (r < 0)
                        return r;
        }
        *ret_names = TAKE_PTR(names);
        return 0;
}

static CheckResult check_clone_path(const Invocation *invocation _unused_, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_free_ char *text = NULL, *list = NULL;
        char description[PROBLEM_DESCRIPTION_MAX];
        _cleanup_strv_ char **names = NULL;
        Problem problem = { 0 };
        size_t size;

        int r = file_read_at(AT_FDCWD, RUNNER_CONFIG_FILE, FILE_BYTES_MAX, &text, &size);
        if (r == -ENOENT)
                return check_say(CHECK_OK, ret_detail, "there is no " RUNNER_CONFIG_FILE);
        r = r < 0 ? r : doctor_runners_without_clone_path(text, &names, &problem);
        if (r < 0)
                return check_say(CHECK_NOTE, ret_detail, RUNNER_CONFIG_FILE " cannot be read: %s",
                                 problem_describe(&problem, r, description));
        for (char **name = names; name && *name; name++)
                if (string_append(&list, ", ", "'%s'", *name) < 0)
                        return check_errno(-ENOMEM, ret_detail);
        return list ? check_say(CHECK_NOTE, ret_detail, "not for runner %s", list) : CHECK_OK;
}

const Check doctor_runner_checks[] = {
        { "GIT_CLONE_PATH", check_clone_path, check_optional,
          "jobs that set it fail, though the Docker executor allows it",
          "add '[runners.custom_build_dir]' with 'enabled = true' (or 'false') to the runner in " RUNNER_CONFIG_FILE },
        { 0 },
};
