/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the scripts of a job's stages in the form that GitLab Runner gives them: the same envelope, echo of
 * commands, quotes and variables. worker.c calls this. Texts of the job must stay texts. Pure: it runs nothing. */

#include "base/string.h"
#include "local/job-steps.h"
#include "local/job.h"
#include "local/quote.h"
#include "local/sources.h"

#define GREEN "\033[32;1m"
#define RESET "\033[0;m"

static const char trap[] = "trap 'exit 1' TERM";

static bool is_true(const char *text) {
        return streq(text, "true") || streq(text, "1");
}

static bool is_posix(const LocalJob *job) {
        return is_true(local_variable(job, "FF_POSIXLY_CORRECT_ESCAPES", "false"));
}

static void add_quoted(const LocalJob *job, Text *text, const char *word) {
        text_add_quoted(text, word, is_posix(job));
}

static void add_notice(const LocalJob *job, Text *text, const char *notice) {
        text_add_string(text, "echo ");
        add_quoted(job, text, arena_printf(text->arena, GREEN "%s" RESET, notice));
        text_add(text, "\n", 1);
}

static bool is_name(const char *key) {
        size_t n = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        return n > 0 && !key[n] && !(key[0] >= '0' && key[0] <= '9');
}

static void add_file(const LocalJob *job, Text *text, const char *path, const char *content) {
        text_add_string(text, "printf '%s' ");
        add_quoted(job, text, content);
        text_add_string(text, " > ");
        add_quoted(job, text, path);
        text_add(text, "\n", 1);
}

/* With @files, those of variables are written. What no shell can export is left out, as bash would do with an error. */
static void add_exports(const LocalJob *job, bool files, Text *text) {
        const char *env = arena_printf(job->arena, "%s/gitlab_runner_env", job->tmp_dir);

        text_add_string(text, "mkdir -p ");
        add_quoted(job, text, job->tmp_dir);
        text_add(text, "\n", 1);
        for (size_t i = 0; i < job->variables.n; i++) {
                const Variable *variable = job->variables.items + i;
                const char *value = variable->value;

                if (!is_name(variable->key))
                        continue;
                if (variable->file) {
                        value = arena_printf(job->arena, "%s/%s", job->tmp_dir, variable->key);
                        if (files)
                                add_file(job, text, value, variable->value);
                }
                text_printf(text, "export %s=", variable->key);
                add_quoted(job, text, value);
                text_add(text, "\n", 1);
        }
        text_add_string(text, "export GITLAB_ENV=");
        add_quoted(job, text, env);
        text_add_string(text,
                        "\ntouch \"$GITLAB_ENV\"\nwhile read -r line; do export \"$line\"; done < \"$GITLAB_ENV\"\n");
}

static void add_directory(const char *command, const LocalJob *job, Text *text) {
        text_add_string(text, command);
        add_quoted(job, text, job->project_dir);
        text_add(text, "\n", 1);
}

static const char *trim(const LocalJob *job, const char *command) {
        static const char blanks[] = " \t\n\v\f\r";

        command += strspn(command, blanks);
        size_t n = strlen(command);
        while (n > 0 && strchr(blanks, command[n - 1]))
                n--;
        return arena_copy(job->arena, command, n);
}

static void add_commands(const LocalJob *job, const Value *lines, Text *text) {
        for (size_t i = 0; i < lines->n_items; i++) {
                const char *command = trim(job, lines->items[i]->string), *newline = strchr(command, '\n');

                if (!*command) {
                        text_add_string(text, "echo\n");
                        continue;
                }
                if (newline)
                        add_notice(job, text,
                                   arena_printf(job->arena, "$ %.*s # collapsed multi-line command",
                                                (int) (newline - command), command));
                else
                        add_notice(job, text, arena_printf(job->arena, "$ %s", command));
                text_add_string(text, command);
                text_add(text, "\n", 1);
        }
}

/* What GitLab Runner puts around the commands of each script. */
static const char *envelope(const LocalJob *job, const Text *body) {
        Text text = { .arena = job->arena };

        text_printf(&text, "#!/usr/bin/env bash\n\n%s\n\n", trap);
        if (is_true(local_variable(job, "CI_DEBUG_TRACE", "false")))
                text_add_string(&text, "set -o xtrace\n");
        text_add_string(&text, "case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\n");
        text_printf(&text, "set +o noclobber\n(%s; eval ", trap);
        add_quoted(job, &text, text_get(body));
        text_add_string(&text, ") < /dev/null\nexit 0\n");
        return text_get(&text);
}

const char *local_script_name(LocalScript script) {
        static const char *const names[] = { "prepare_script", "get_sources", "build_script", "after_script",
                                             "cleanup_file_variables" };

        return names[script];
}

static void add_prepare(const LocalJob *job, Text *text) {
        text_printf(text, "echo \"Running on $(hostname 2>/dev/null || cat /etc/hostname)");
        if (!isempty(job->hostname))
                text_printf(text, " via %s", job->hostname);
        text_add_string(text, "...\"\nrm -f ");
        add_quoted(job, text, arena_printf(job->arena, "%s/gitlab_runner_env", job->tmp_dir));
        text_add(text, "\n", 1);
}

static bool add_get_sources(const LocalJob *job, Text *text) {
        const Value *hooks = map_get_set(job->job->config, "hooks");
        const Value *lines = local_lines(job, map_get_set(hooks, "pre_get_sources_script"));
        const char *strategy = local_variable(job, "GIT_STRATEGY", NULL);
        bool none = !sources_are_wanted(strategy);

        if (lines->n_items == 0 && !none)
                return false;
        add_exports(job, true, text);
        add_commands(job, lines, text);
        if (none) {
                add_notice(job, text,
                           streq(strategy, "none") ?
                                   "Skipping Git repository setup" :
                                   "Skipping Git repository setup and creating an empty build directory");
                add_notice(job, text, "Skipping Git checkout");
        }
        add_directory("mkdir -p ", job, text);
        return true;
}

static bool add_step(const LocalJob *job, LocalScript script, Text *text) {
        const Value *config = job->job->config;
        const Value *before = local_lines(job, map_get_set(config, "before_script"));
        const Value *lines = local_lines(job,
                                         map_get_set(config, script == LOCAL_STEP_SCRIPT ? "script" : "after_script"));

        if (script == LOCAL_AFTER_SCRIPT && lines->n_items == 0)
                return false;
        add_exports(job, true, text);
        add_directory("cd ", job, text);
        if (script == LOCAL_AFTER_SCRIPT)
                add_notice(job, text, "Running after script...");
        else
                add_commands(job, before, text);
        if (script == LOCAL_STEP_SCRIPT && map_get_set(config, "run"))
                local_steps(job, is_posix(job), text);
        add_commands(job, lines, text);
        return true;
}

static void add_cleanup(const LocalJob *job, Text *text) {
        text_add_string(text, "rm -f ");
        add_quoted(job, text, arena_printf(job->arena, "%s/gitlab_runner_env", job->tmp_dir));
        for (size_t i = 0; i < job->variables.n; i++)
                if (job->variables.items[i].file) {
                        text_add(text, " ", 1);
                        add_quoted(job, text,
                                   arena_printf(job->arena, "%s/%s", job->tmp_dir, job->variables.items[i].key));
                }
        text_add(text, "\n", 1);
}

const char *local_script(const LocalJob *job, LocalScript script) {
        Text body = { .arena = job->arena };
        bool any = true;

        switch (script) {
        case LOCAL_PREPARE_SCRIPT:
                add_prepare(job, &body);
                break;
        case LOCAL_GET_SOURCES:
                any = add_get_sources(job, &body);
                break;
        case LOCAL_STEP_SCRIPT:
        case LOCAL_AFTER_SCRIPT:
                any = add_step(job, script, &body);
                break;
        case LOCAL_CLEANUP_FILE_VARIABLES:
                add_cleanup(job, &body);
                break;
        }
        return any ? envelope(job, &body) : NULL;
}
