/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts the one program that a container is for, a service of a job. server.c calls this before it serves anybody.
 * The program is confined like a step and must not depend on a connection: its output goes where the agent's own
 * output goes, to the supervisor. */

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"
#include "wire/service.h"

/* A larger command line could not be executed anyway. */
#define SERVICE_BYTES_MAX ((size_t) 8 * 1024 * 1024)

/* Printed where the service's output goes, so that readers of its log learn why there is none. */
static void explain(const WireService *service, WireCause cause, int error) {
        const char *text = strerror(-error);

        switch (cause) {
        case WIRE_CAUSE_USER:
                fprintf(stderr, "Cannot run '%s' as user '%s': %s\n", service->argv[0], service->user,
                        error == -ESRCH ? "the image has no such user or group" : text);
                break;
        case WIRE_CAUSE_DIRECTORY:
                fprintf(stderr, "Cannot run '%s' in directory '%s': %s\n", service->argv[0], service->directory, text);
                break;
        default:
                fprintf(stderr, "Cannot run '%s': %s\n", service->argv[0], text);
        }
}

int service_start(const Surroundings *surroundings, int service_fd, pid_t *ret) {
        _cleanup_wire_service_ WireService service = { 0 };
        _cleanup_free_ char *data = NULL;
        WireCause cause;
        size_t size;

        int r = fd_read_all(service_fd, SERVICE_BYTES_MAX, &data, &size);
        if (r < 0)
                return r;
        r = wire_parse_service(data, size, &service);
        explicit_bzero(data, size);
        if (r < 0)
                return r;
        WireExec exec = {
                .user = service.user,
                .directory = service.directory,
                .directories = service.directories,
                .argv = service.argv,
                .environment = service.environment,
        };
        r = step_start_plain(surroundings, &exec, ret, &cause);
        if (r < 0)
                explain(&service, cause, r);
        return r;
}
