/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the names of a job's services. `prepare` calls this before anything is started, so that every container of
 * the job knows all of them. Images and aliases are the job's words: a name that could be anything else than one name
 * in a line of a hosts file must not pass. */

#include "job/service-names.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "config/image-reference.h"

#define NAME_BYTES_MAX 253

/* Names that mean something else in a hosts file or to the job. */
static const char *const reserved[] = { "localhost", "build" };

bool job_debugs_services(const JobSpec *job) {
        for (size_t i = job->variables.n; i-- > 0;) {
                const JobVariable *variable = &job->variables.items[i];

                if (streq(variable->key, "CI_DEBUG_SERVICES"))
                        return strcasecmp(variable->value, "true") == 0 || streq(variable->value, "1");
        }
        return false;
}

/* The first ':' with digits behind it is a port, if nothing else follows but a path. */
static int without_port(const char *repository, char **ret) {
        for (const char *colon = strchr(repository, ':'); colon; colon = strchr(colon + 1, ':')) {
                size_t digits = strspn(colon + 1, "0123456789");
                const char *rest = colon + 1 + digits;

                if (digits > 0 && (*rest == '/' || !*rest))
                        return string_printf(ret, "%.*s%s", (int) (colon - repository), repository, rest);
        }
        return string_printf(ret, "%s", repository);
}

/* @name with each '/' as @by. */
static char *replace_slashes(const char *name, const char *by) {
        size_t n_slashes = 0;

        for (const char *p = name; *p; p++)
                n_slashes += *p == '/';
        char *text = malloc(strlen(name) + n_slashes * strlen(by) + 1), *end = text;
        if (!text)
                return NULL;
        for (const char *p = name; *p; p++) {
                if (*p == '/')
                        end = stpcpy(end, by);
                else
                        *end++ = *p;
        }
        *end = 0;
        return text;
}

int service_names_of_image(const char *image, char ***ret) {
        _cleanup_free_ char *repository = strndup(image, image_reference_repository_length(image));
        _cleanup_free_ char *name = NULL, *first = NULL, *second = NULL;
        _cleanup_strv_ char **names = NULL;

        if (!repository)
                return -ENOMEM;
        int r = without_port(repository, &name);
        if (r < 0)
                return r;
        first = replace_slashes(name, "__");
        second = replace_slashes(name, "-");
        if (!first || !second)
                return -ENOMEM;
        r = strv_extend_many(&names, first, streq(first, second) ? NULL : second);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(names);
        return 0;
}

static bool is_between(char c) {
        return c && strchr(" ,\t\n\r\v\f", c);
}

int service_names_split(const char *text, char ***ret) {
        _cleanup_string_list_ StringList names = { 0 };

        for (;;) {
                while (is_between(*text))
                        text++;
                if (!*text)
                        break;
                size_t n = 1;
                while (text[n] && !is_between(text[n]))
                        n++;
                int r = string_list_addf(&names, "%.*s", (int) n, text);
                if (r < 0)
                        return r;
                text += n;
        }
        *ret = string_list_take(&names);
        return 0;
}

bool service_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n > 0 && n <= NAME_BYTES_MAX && !strchr("-.", name[0]) &&
               strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") == n;
}

void service_names_free(ServiceNames *names, size_t n) {
        for (size_t i = 0; names && i < n; i++) {
                strv_free(names[i].names);
                strv_free(names[i].taken);
                strv_free(names[i].invalid);
        }
        free(names);
}

/* The case of letters does not matter in host names. */
static bool contains(char *const *names, const char *name) {
        for (; names && *names; names++)
                if (strcasecmp(*names, name) == 0)
                        return true;
        return false;
}

static bool is_taken(const ServiceNames *all, size_t n, char *const *own, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                if (strcasecmp(reserved[i], name) == 0)
                        return true;
        for (size_t i = 0; i < n; i++)
                if (contains(all[i].names, name))
                        return true;
        return contains(own, name);
}

/* The names of @wanted that service @i can have. */
static int give(ServiceNames *all, size_t i, char *const *own, char *const *wanted) {
        ServiceNames *to = &all[i];

        for (; wanted && *wanted; wanted++) {
                char ***list = !service_name_is_valid(*wanted) ? &to->invalid :
                               is_taken(all, i, own, *wanted)  ? &to->taken :
                                                                 &to->names;

                int r = contains(*list, *wanted) ? 0 : strv_extend(list, *wanted);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int assign_one(const JobService *service, ServiceNames *all, size_t i, char *const *own) {
        _cleanup_strv_ char **of_image = NULL, **aliases = NULL;

        if (isempty(service->name))
                return 0;
        int r = service_names_of_image(service->name, &of_image);
        if (r < 0)
                return r;
        r = service_names_split(service->alias ? service->alias : "", &aliases);
        if (r < 0)
                return r;
        r = give(all, i, own, of_image);
        return r < 0 ? r : give(all, i, own, aliases);
}

int service_names_assign(const JobSpec *job, char *const *own, ServiceNames **ret) {
        ServiceNames *all = calloc(job->n_services + 1, sizeof(*all));

        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < job->n_services; i++) {
                int r = assign_one(&job->services[i], all, i, own);
                if (r < 0) {
                        service_names_free(all, job->n_services);
                        return r;
                }
        }
        *ret = all;
        return 0;
}
