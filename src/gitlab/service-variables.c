/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which variables the services of a job see. gitlab/job.c calls this, and `prepare`. A service must not see variables
 * that are not public: its program comes from another image, which anybody may have made. The values come from GitLab
 * Runner, which has expanded them; a job can forge them, but only for its own services. */

#include "gitlab/service-variables.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/custom-executor.h"
#include "base/string.h"
#include "gitlab/environment.h"

/* The services as GitLab Runner describes them to drivers that cannot read the job. */
#define SERVICES_VARIABLE "CI_JOB_SERVICES"
#define KEY_VARIABLE "CI_SERVER_TLS_KEY_FILE"
/* Of a service's own variables, which may multiply as each is made of earlier ones. No program can have more. */
#define OWN_BYTES_MAX ((size_t) 2 * 1024 * 1024)
/* Of the variables of all services, which have a copy each: they are in the memory of a process of root. */
#define ALL_BYTES_MAX ((size_t) 32 * 1024 * 1024)
/* The directory, inside the container, where the job's scripts write variables of type file. */
#define DIRECTORY_VARIABLE "RUNNER_TEMP_PROJECT_DIR"

/* Finds the variable whose name is the first @n bytes of @name; if several have it, the last one counts. */
static const JobVariable *find_variable(const JobVariables *variables, const char *name, size_t n) {
        for (size_t i = variables->n; i-- > 0;) {
                const char *key = variables->items[i].key;

                if (strncmp(key, name, n) == 0 && !key[n])
                        return &variables->items[i];
        }
        return NULL;
}

static bool has_name(char *const *names, const char *assignment, size_t n) {
        for (; names && *names; names++)
                if (strncmp(*names, assignment, n) == 0 && !(*names)[n])
                        return true;
        return false;
}

/* Variables that are not in the response are GitLab Runner's own, and public, except for those named here: the key with which
 * it proves to GitLab who it is, and what it was given for the job by others, whatever the job says of it. */
static bool may_be_seen(const JobSpec *spec, const char *assignment) {
        size_t n = strcspn(assignment, "=");
        const JobVariable *variable = find_variable(&spec->variables, assignment, n);

        if (has_name(ARGV(SERVICES_VARIABLE, KEY_VARIABLE), assignment, n) ||
            has_name(spec->secret_names, assignment, n))
                return false;
        return n > 0 && (!variable || variable->public);
}

/* Adds a variable of type file, the value of which is a path: the job's scripts write the file before they do anything else, if
 * it is the job's. Where nobody says which directory it is in, the value is the content. */
static int add_file(const JobVariable *variable, char ***environment) {
        const char *directory = getenv(CUSTOM_ENV_PREFIX DIRECTORY_VARIABLE);

        return isempty(directory) ? strv_extendf(environment, "%s=%s", variable->key, variable->value) :
                                    strv_extendf(environment, "%s=%s/%s", variable->key, directory, variable->key);
}

static int add_public(const JobSpec *spec, char ***environment) {
        for (char **entry = environ; entry && *entry; entry++) {
                const char *assignment = startswith(*entry, CUSTOM_ENV_PREFIX);

                if (!assignment || !may_be_seen(spec, assignment))
                        continue;
                const JobVariable *variable = find_variable(&spec->variables, assignment, strcspn(assignment, "="));
                int r = variable && variable->file ? add_file(variable, environment) :
                                                     strv_extend(environment, assignment);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* *known: variables that are not what the environment says; *ret_n: how many they are. */
static int add_files(const JobSpec *spec, char ***known, size_t *ret_n) {
        for (size_t i = 0; i < spec->variables.n; i++) {
                const JobVariable *variable = &spec->variables.items[i];

                if (!variable->file ||
                    find_variable(&spec->variables, variable->key, strlen(variable->key)) != variable)
                        continue;
                int r = add_file(variable, known);
                if (r < 0)
                        return r;
        }
        *ret_n = strv_length(*known);
        return 0;
}

static int add_own(const JobSpec *spec, JobService *service) {
        _cleanup_strv_ char **known = NULL;
        size_t n_files;

        int r = add_files(spec, &known, &n_files);
        if (r < 0)
                return r;
        for (size_t i = 0, bytes = 0; i < service->variables.n; i++) {
                JobVariable *variable = &service->variables.items[i];

                if (!variable->raw && strchr(variable->value, '$')) {
                        char *expanded;

                        r = gitlab_expand(variable->value, known, &expanded);
                        if (r < 0)
                                return r;
                        free(variable->value);
                        variable->value = expanded;
                }
                bytes += strlen(variable->key) + strlen(variable->value);
                if (bytes > OWN_BYTES_MAX)
                        return -E2BIG;
                r = variable->file ? add_file(variable, &known) :
                                     strv_extendf(&known, "%s=%s", variable->key, variable->value);
                if (r < 0)
                        return r;
        }
        return known ? strv_extend_strv(&service->environment, known + n_files) : 0;
}

int gitlab_name_services(JobSpec *spec) {
        for (size_t i = 0; i < spec->n_services; i++) {
                JobService *service = &spec->services[i];
                char **texts[] = { &service->name, &service->alias, &service->user, &service->platform };

                for (size_t k = 0; k < ELEMENTSOF(texts); k++) {
                        int r = gitlab_expand_in_place(texts[k]);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static size_t count_bytes(char *const *environment) {
        size_t bytes = 0;

        for (; environment && *environment; environment++)
                bytes += strlen(*environment) + 1;
        return bytes;
}

int gitlab_fill_services(JobSpec *spec) {
        size_t bytes = 0;

        for (size_t i = 0; i < spec->n_services; i++) {
                int r = add_public(spec, &spec->services[i].environment);
                if (r < 0)
                        return r;
                r = add_own(spec, &spec->services[i]);
                if (r < 0)
                        return r;
                bytes += count_bytes(spec->services[i].environment);
                if (bytes > ALL_BYTES_MAX)
                        return -E2BIG;
        }
        return 0;
}
