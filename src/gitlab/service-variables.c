/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which variables the services of a job see. Only gitlab/job.c calls this. A service must not see variables
 * that are not public: its program comes from another image, which anybody may have made. The values come from GitLab
 * Runner, which has expanded them; a job can forge them, but only for its own services. */

#include "gitlab/service-variables.h"

#include <string.h>
#include <unistd.h>

#include "base/string.h"
#include "gitlab/environment.h"

#define PREFIX "CUSTOM_ENV_"

/* The services as GitLab Runner describes them to drivers that cannot read the job. */
#define SERVICES_VARIABLE "CI_JOB_SERVICES"

/* Finds the variable whose name is the first @n bytes of @name; if several have it, the last one counts. */
static const JobVariable *find_variable(const JobVariables *variables, const char *name, size_t n) {
        for (size_t i = variables->n; i-- > 0;) {
                const char *key = variables->items[i].key;

                if (strncmp(key, name, n) == 0 && !key[n])
                        return &variables->items[i];
        }
        return NULL;
}

/* Variables that are not in the response are GitLab Runner's own, and public. */
static bool may_be_seen(const JobSpec *spec, const char *assignment) {
        size_t n = strcspn(assignment, "=");
        const JobVariable *variable = find_variable(&spec->variables, assignment, n);

        if (n == strlen(SERVICES_VARIABLE) && strncmp(assignment, SERVICES_VARIABLE, n) == 0)
                return false;
        return n > 0 && (!variable || variable->public);
}

static int add_public(const JobSpec *spec, char ***environment) {
        for (char **entry = environ; entry && *entry; entry++) {
                const char *assignment = startswith(*entry, PREFIX);

                if (!assignment || !may_be_seen(spec, assignment))
                        continue;
                int r = strv_extend(environment, assignment);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_own(JobService *service) {
        _cleanup_strv_ char **own = NULL;

        for (size_t i = 0; i < service->variables.n; i++) {
                JobVariable *variable = &service->variables.items[i];

                if (!variable->raw && strchr(variable->value, '$')) {
                        char *expanded;

                        int r = gitlab_expand(variable->value, own, &expanded);
                        if (r < 0)
                                return r;
                        free(variable->value);
                        variable->value = expanded;
                }
                int r = strv_extendf(&own, "%s=%s", variable->key, variable->value);
                if (r < 0)
                        return r;
        }
        return strv_extend_strv(&service->environment, own);
}

static int expand(char **text) {
        char *expanded;

        if (!*text || !strchr(*text, '$'))
                return 0;
        int r = gitlab_expand(*text, NULL, &expanded);
        if (r < 0)
                return r;
        free(*text);
        *text = expanded;
        return 0;
}

static int complete(const JobSpec *spec, JobService *service) {
        char **texts[] = { &service->name, &service->alias, &service->user, &service->platform };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int r = expand(texts[i]);
                if (r < 0)
                        return r;
        }
        int r = add_public(spec, &service->environment);
        return r < 0 ? r : add_own(service);
}

int gitlab_complete_services(JobSpec *spec) {
        for (size_t i = 0; i < spec->n_services; i++) {
                int r = complete(spec, &spec->services[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}
