/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides what a service runs, with which environment, and which of its ports say that it is ready. `prepare` calls this
 * for each service once its image is there. Nothing is looked at here: what is known of the image is handed in. */

#include "job/service-start.h"

#include <string.h>

#include "base/name-table.h"
#include "base/string.h"

/* In the service's own variables, in any case. */
#define PORT_VARIABLE "HEALTHCHECK_TCP_PORT"

void service_start_done(ServiceStart *start) {
        strv_free(start->argv);
        strv_free(start->environment);
        strv_free(start->ports);
        *start = (ServiceStart){ 0 };
}

/* `entrypoint: [""]` means none. */
static bool is_reset(char *const *entrypoint) {
        return strv_length(entrypoint) == 1 && isempty(entrypoint[0]);
}

/* As in Docker: an entrypoint given by the job also replaces the image's command; a command replaces only the
 * command. */
static int merge_arguments(const JobService *service, const ServiceImage *image, char ***ret) {
        bool own_entrypoint = strv_length(service->entrypoint) > 0, own_command = strv_length(service->command) > 0;
        char *const *entrypoint = own_entrypoint ? service->entrypoint : image->entrypoint;
        char *const *command = own_command ? service->command : own_entrypoint ? NULL : image->command;

        int r = is_reset(entrypoint) ? 0 : strv_extend_strv(ret, entrypoint);
        return r < 0 ? r : strv_extend_strv(ret, command);
}

static int find_arguments(const JobService *service, const ServiceImage *image, char ***ret) {
        bool own = strv_length(service->entrypoint) > 0 || strv_length(service->command) > 0;

        if (image->local && !own) {
                if (strv_length(image->definition_command) > 0)
                        return strv_extend_strv(ret, image->definition_command);
                if (image->has_init)
                        return 0;
        }
        int r = merge_arguments(service, image, ret);
        return r < 0 ? r : *ret && !isempty((*ret)[0]) ? 0 : -ENOEXEC;
}

/* Of equal names, the last value counts, at the place of the first. @places has where in the list a name
 * is, from 1. */
static int set_variables(StringList *environment, NameTable *places, char *const *assignments) {
        for (; assignments && *assignments; assignments++) {
                size_t n = strcspn(*assignments, "=");
                const void *place = name_table_find(places, *assignments, n);

                int r = place ? string_replace(&environment->strings[(uintptr_t) place - 1], *assignments) :
                                string_list_add(environment, *assignments);
                if (r < 0)
                        return r;
                r = place ? 0 : name_table_set(places, *assignments, n, (void *) (uintptr_t) environment->n);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int find_environment(const JobService *service, const ServiceImage *image, char ***ret) {
        _cleanup_string_list_ StringList environment = { 0 };
        _cleanup_name_table_ NameTable places = { 0 };

        int r = set_variables(&environment, &places, image->environment);
        if (r < 0)
                return r;
        r = set_variables(&environment, &places, service->environment);
        if (r < 0)
                return r;
        *ret = string_list_take(&environment);
        return 0;
}

static bool parse_port(const char *text, unsigned *ret) {
        uint64_t port;

        if (parse_uint64(text, &port) < 0 || port == 0 || port > UINT16_MAX)
                return false;
        *ret = (unsigned) port;
        return true;
}

/* The port that the service's own variables name. */
static bool find_named_port(const JobService *service, unsigned *ret) {
        for (size_t i = service->variables.n; i-- > 0;) {
                const JobVariable *variable = &service->variables.items[i];

                if (strcasecmp(variable->key, PORT_VARIABLE) == 0)
                        return parse_port(variable->value, ret);
        }
        return false;
}

static int compare_ports(const void *a, const void *b) {
        unsigned x = *(const unsigned *) a, y = *(const unsigned *) b;

        return x < y ? -1 : x > y;
}

static int find_ports(const JobService *service, const ServiceImage *image, char ***ret) {
        char *const *texts = strv_length(image->definition_ports) > 0 ? image->definition_ports : image->ports;
        unsigned ports[256];
        size_t n = 0, n_used = 0;

        if (find_named_port(service, &ports[0]))
                return strv_extendf(ret, "%u", ports[0]);
        for (; texts && *texts && n < ELEMENTSOF(ports); texts++)
                n += parse_port(*texts, &ports[n]);
        SORT(ports, n, compare_ports);
        for (size_t i = 0; i < n && n_used < SERVICE_PORTS_MAX; i++) {
                if (i > 0 && ports[i] == ports[i - 1])
                        continue;
                int r = strv_extendf(ret, "%u", ports[i]);
                if (r < 0)
                        return r;
                n_used++;
        }
        return 0;
}

int service_start_make(const JobService *service, const ServiceImage *image, ServiceStart *ret) {
        _cleanup_service_start_ ServiceStart start = {
                .user = isempty(service->user) ? image->user : service->user,
                .working_dir = image->working_dir,
        };

        int r = find_arguments(service, image, &start.argv);
        if (r < 0)
                return r;
        r = find_environment(service, image, &start.environment);
        if (r < 0)
                return r;
        r = find_ports(service, image, &start.ports);
        if (r < 0)
                return r;
        *ret = start;
        start = (ServiceStart){ 0 };
        return 0;
}
