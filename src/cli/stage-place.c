/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides for `run` and `exec-step` where the script of a stage runs: in the image, or in the helper's root. Only the
 * name of the stage and the plan of the container may count, never what is in the script. */

#include "cli/stage-place.h"

#include <limits.h>
#include <string.h>

#include "base/custom-executor.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "config/setting-check.h"
#include "container/bind.h"
#include "gitlab/environment.h"
#include "gitlab/stage.h"

void stage_place_done(StagePlace *place) {
        free(place->argv[0]);
        strv_free(place->environment);
        strv_free(place->directories);
        strv_free(place->shared);
        *place = (StagePlace){ 0 };
}

/* Bare names, as GitLab has them ("bash", "sh"), are looked up where shells are. */
static int shell_path(const char *shell, char **ret) {
        if (isempty(shell))
                return string_replace(ret, "");
        return string_printf(ret, "%s%s", shell[0] == '/' ? "" : "/bin/", shell);
}

/* The directories that GitLab's scripts work in. If GitLab Runner's configuration sets them, we are only told that of
 * the builds. */
static int collect_directories(const Settings *settings, const JobSpec *job, char ***ret) {
        const char *builds = settings->builds_dir;

        if (!builds && job->builds_dir && strlen(job->builds_dir) < PATH_MAX && text_is_absolute_path(job->builds_dir))
                builds = job->builds_dir;
        int r = builds ? strv_extend(ret, builds) : 0;
        return r < 0 || !settings->cache_dir ? r : strv_extend(ret, settings->cache_dir);
}

/* What GitLab Runner says of Docker's containers. Of ours it knows nothing: for each custom executor, its scripts set
 * CI_SHARED_ENVIRONMENT. */
#define DISPOSABLE "CI_DISPOSABLE_ENVIRONMENT=true"

static bool is_file(const JobSpec *job, const char *name) {
        for (size_t i = job->variables.n; i-- > 0;)
                if (streq(job->variables.items[i].key, name))
                        return job->variables.items[i].file;
        return false;
}

/* The script sets all variables of the job, but these have an effect only when a shell starts. With Docker, they are in the
 * container's environment. GitLab's stages do not get them: with Docker, those run in another image, where what is named is
 * missing. */
static int add_for_shell(const JobSpec *job, StagePlace *place) {
        static const char *const names[] = { "BASH_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD" };
        const char *directory = gitlab_job_variable("RUNNER_TEMP_PROJECT_DIR");

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *value = gitlab_job_variable(names[i]);
                int r = 0;

                if (value && is_file(job, names[i]))
                        r = directory ? strv_extendf(&place->environment, "%s=%s/%s", names[i], directory, names[i]) :
                                        0;
                else if (value && strlen(value) < PATH_MAX) /* the message to the agent has a limit */
                        r = strv_extendf(&place->environment, "%s=%s", names[i], value);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* GitLab's stages call GitLab Runner's program by its bare name. */
static int set_environment(const JobSpec *job, char *const *environment, const Machine *machine, StagePlace *place) {
        const char *path = strv_value(environment, "PATH");

        int r = strv_copy(environment, &place->environment);
        if (r < 0)
                return r;
        r = strv_extend(&place->environment, DISPOSABLE);
        if (r < 0)
                return r;
        if (!place->own)
                return add_for_shell(job, place);
        if (!machine->runner_path)
                return 0;
        return strv_extendf(&place->environment, "PATH=" TOOLS_PATH ":%s", path ? path : SEARCH_PATH);
}

/* In the helper, everything is shared that is mounted into the job's container, and the directories that GitLab's
 * scripts work in. */
static int enter_helper(const Settings *settings, const Machine *machine, StagePlace *place, StepRequest *request) {
        int r = bind_targets(machine, &place->shared);
        if (r < 0)
                return r;
        r = strv_extend_strv(&place->shared, place->directories);
        if (r < 0)
                return r;
        /* A setting of GitLab Runner that we are not told: its usual value. */
        r = settings->cache_dir ? 0 : strv_extend(&place->shared, CACHE_DIR_DEFAULT);
        if (r < 0)
                return r;
        request->in_helper = true;
        request->shared = place->shared;
        request->directory = NULL;
        request->directories = place->directories;
        return string_replace(&place->argv[0], "");
}

int stage_place(const Settings *settings, const JobSpec *job, const Machine *machine, const char *stage,
                const char *shell, StagePlace *ret, StepRequest *request) {
        _cleanup_stage_place_ StagePlace place = { .own = gitlab_stage_is_own(stage) };

        shell = shell ? shell : machine->settings.shell;
        const bool in_helper = place.own && machine->helper_path && !gitlab_shell_is_powershell(shell);
        int r = shell_path(shell, &place.argv[0]);
        if (r < 0)
                return r;
        r = collect_directories(settings, job, &place.directories);
        if (r < 0)
                return r;
        r = set_environment(job, in_helper ? machine->helper_environment : machine->environment, machine, &place);
        if (r < 0)
                return r;
        request->user = machine->user;
        request->directory = machine->working_dir;
        /* The agent makes them, because the image's user could not make them below "/". */
        request->directories = machine->user ? place.directories : NULL;
        if (in_helper) {
                r = enter_helper(settings, machine, &place, request);
                if (r < 0)
                        return r;
        }
        *ret = place;
        place = (StagePlace){ 0 };
        request->argv = ret->argv;
        request->environment = ret->environment;
        return 0;
}

void stage_explain_lack(const Machine *machine, const StagePlace *place) {
        static const char advice[] = "In a helper image, they have it: 'nspawn-runner chroot-create helper' makes one";

        if (!place->own || !machine->lack || machine->helper_path)
                return;
        if (streq(machine->settings.helper_image, "none"))
                log_notice(
                        "GitLab Runner's own steps may need what image '%s' lacks: %s. The setting helper_image lets them "
                        "run in another image",
                        machine->image, machine->lack);
        else
                log_notice("GitLab Runner's own steps may need what image '%s' lacks: %s. %s", machine->image,
                           machine->lack, advice);
}
