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

/* What is known of a job, for all of its services. */
typedef struct Known {
        const JobSpec *spec;
        NameTable variables;   /* JobVariables of the job; of several with one name, the last */
        NameTable secrets;     /* names of what is not to be seen, whatever the job says of it */
        NameTable environment; /* values as GitLab Runner has expanded them */
        NameTable files;       /* over it: values of what is a file to the job */
        StringList file_paths; /* "NAME=VALUE" of those */
        StringList public;     /* "NAME=VALUE" that each service gets */
} Known;

static void known_done(Known *known) {
        name_table_done(&known->variables);
        name_table_done(&known->secrets);
        name_table_done(&known->environment);
        name_table_done(&known->files);
        string_list_done(&known->file_paths);
        string_list_done(&known->public);
}

static int set_all(NameTable *table, char *const *names) {
        for (; names && *names; names++) {
                int r = name_table_set(table, *names, strlen(*names), *names);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Variables that are not in the response are GitLab Runner's own, and public, except for those named here: the key with which
 * it proves to GitLab who it is, and what it was given for the job by others, whatever the job says of it. */
static int learn_variables(Known *known) {
        const JobVariables *variables = &known->spec->variables;

        for (size_t i = 0; i < variables->n; i++) {
                const JobVariable *variable = variables->items + i;

                int r = name_table_set(&known->variables, variable->key, strlen(variable->key), variable);
                if (r < 0)
                        return r;
        }
        int r = set_all(&known->secrets, ARGV(SERVICES_VARIABLE, KEY_VARIABLE));
        if (r < 0)
                return r;
        r = set_all(&known->secrets, known->spec->secret_names);
        return r < 0 ? r : gitlab_variables(&known->environment);
}

static bool may_be_seen(const Known *known, const JobVariable *variable, const char *assignment, size_t n) {
        return n > 0 && !name_table_find(&known->secrets, assignment, n) && (!variable || variable->public);
}

/* Adds a variable of type file, the value of which is a path: the job's scripts write the file before they do anything else, if
 * it is the job's. Where nobody says which directory it is in, the value is the content. */
static int add_file(const JobVariable *variable, StringList *environment) {
        const char *directory = getenv(CUSTOM_ENV_PREFIX DIRECTORY_VARIABLE);

        return isempty(directory) ? string_list_addf(environment, "%s=%s", variable->key, variable->value) :
                                    string_list_addf(environment, "%s=%s/%s", variable->key, directory, variable->key);
}

/* The value of the last one in the list goes into the table. */
static int set_last(NameTable *table, const StringList *list) {
        const char *assignment = list->strings[list->n - 1];
        size_t n = strcspn(assignment, "=");

        return name_table_set(table, assignment, n, assignment + n + 1);
}

static int learn_public(Known *known) {
        for (char **entry = environ; entry && *entry; entry++) {
                const char *assignment = startswith(*entry, CUSTOM_ENV_PREFIX);
                size_t n = assignment ? strcspn(assignment, "=") : 0;
                const JobVariable *variable = assignment ? name_table_find(&known->variables, assignment, n) : NULL;

                if (!assignment || !may_be_seen(known, variable, assignment, n))
                        continue;
                int r = variable && variable->file ? add_file(variable, &known->public) :
                                                     string_list_add(&known->public, assignment);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What is not as the environment says. */
static int learn_files(Known *known) {
        const JobVariables *variables = &known->spec->variables;

        known->files.outer = &known->environment;
        for (size_t i = 0; i < variables->n; i++) {
                const JobVariable *variable = variables->items + i;

                if (!variable->file ||
                    name_table_find(&known->variables, variable->key, strlen(variable->key)) != variable)
                        continue;
                int r = add_file(variable, &known->file_paths);
                if (r < 0)
                        return r;
                r = set_last(&known->files, &known->file_paths);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int learn(Known *known) {
        int r = learn_variables(known);
        if (r < 0)
                return r;
        r = learn_public(known);
        return r < 0 ? r : learn_files(known);
}

static int expand(JobVariable *variable, const NameTable *variables) {
        char *expanded;

        if (variable->raw || !strchr(variable->value, '$'))
                return 0;
        int r = gitlab_expand(variable->value, variables, &expanded);
        if (r < 0)
                return r;
        free(variable->value);
        variable->value = expanded;
        return 0;
}

/* Adds the service's own variables, each of which may refer to those before. */
static int add_own(const Known *known, JobService *service, StringList *environment) {
        _cleanup_name_table_ NameTable seen = { .outer = &known->files };

        for (size_t i = 0, read = 0, bytes = 0; i < service->variables.n; i++) {
                JobVariable *variable = &service->variables.items[i];

                /* Also what becomes nothing takes time. */
                read += strlen(variable->value);
                int r = read > OWN_BYTES_MAX ? -E2BIG : expand(variable, &seen);
                if (r < 0)
                        return r;
                bytes += strlen(variable->key) + strlen(variable->value);
                if (bytes > OWN_BYTES_MAX)
                        return -E2BIG;
                r = variable->file ? add_file(variable, environment) :
                                     string_list_addf(environment, "%s=%s", variable->key, variable->value);
                if (r < 0)
                        return r;
                r = set_last(&seen, environment);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int fill(const Known *known, JobService *service, size_t *bytes) {
        _cleanup_string_list_ StringList environment = { 0 };

        for (size_t i = 0; i < known->public.n; i++) {
                int r = string_list_add(&environment, known->public.strings[i]);
                if (r < 0)
                        return r;
        }
        int r = add_own(known, service, &environment);
        if (r < 0)
                return r;
        for (size_t i = 0; i < environment.n; i++)
                *bytes += strlen(environment.strings[i]) + 1;
        service->environment = string_list_take(&environment);
        return *bytes > ALL_BYTES_MAX ? -E2BIG : 0;
}

int gitlab_name_services(JobSpec *spec, const NameTable *variables) {
        for (size_t i = 0; i < spec->n_services; i++) {
                JobService *service = &spec->services[i];
                char **texts[] = { &service->name, &service->alias, &service->user, &service->platform };

                for (size_t k = 0; k < ELEMENTSOF(texts); k++) {
                        int r = gitlab_expand_in_place(texts[k], variables);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int gitlab_fill_services(JobSpec *spec) {
        _cleanup_(known_done) Known known = { .spec = spec };
        size_t bytes = 0;

        int r = learn(&known);
        if (r < 0)
                return r;
        for (size_t i = 0; i < spec->n_services; i++) {
                r = fill(&known, &spec->services[i], &bytes);
                if (r < 0)
                        return r;
        }
        return 0;
}
