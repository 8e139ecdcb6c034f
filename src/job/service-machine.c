/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The parts of starting the container of a service: what its image and the job say about it becomes a plan, which
 * joins that of the job. Called by the process of a service (cli/service-work.c), which says what goes wrong: nothing
 * is logged here. Whatever a job says about a service is as hostile as the rest of it. */

#include "job/service-machine.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/string.h"
#include "config/image-reference.h"

#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define READY_POLL_USEC (5 * USEC_PER_MSEC)
#define READY_POLL_MAX_USEC (200 * USEC_PER_MSEC)
#define BOOT_TARGET "default.target"

void service_machine_done(ServiceMachine *service) {
        service_start_done(&service->start);
        machine_free(service->machine);
        machine_free(service->job);
        machine_directory_done(&service->directory);
        definition_free(service->definition);
        generation_free(service->known);
        image_free(service->image);
        settings_done(&service->of_image);
        settings_done(&service->base);
        strv_free(service->argv);
        free(service->id);
}

int service_machine_settings(ServiceMachine *service) {
        Settings *base = &service->base;

        int r = settings_copy(service->work->settings, base);
        if (r < 0)
                return r;
        if (base->service_cpu_weight != 0)
                base->cpu_weight = base->service_cpu_weight;
        if (base->service_tasks_max != 0)
                base->tasks_max = base->service_tasks_max;
        if (base->service_memory_high.bytes != 0 || base->service_memory_high.permyriad != 0)
                base->memory_high = base->service_memory_high;
        if (base->service_memory_max.bytes != 0 || base->service_memory_max.permyriad != 0)
                base->memory_max = base->service_memory_max;
        return 0;
}

int service_machine_describe(ServiceMachine *service) {
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        int r = generation_load_of(service->image, &service->known);
        if (r < 0 || image_reference_is(service->image->title))
                return r;
        r = definition_find(&service->base, service->image->name, &path, NULL);
        if (r < 0) /* it has none */
                return r == -ENOMEM ? r : 0;
        /* The caller read the definition when it looked for the image's settings. */
        return definition_load(path, service->image->name, &service->definition, &problem);
}

int service_machine_command(ServiceMachine *service) {
        const Generation *known = service->known;
        const Definition *definition = service->definition;
        const char *init = NULL;

        int r = image_boot(service->image->fd, BOOT_AUTO, &init);
        if (r < 0)
                return r;
        ServiceImage image = {
                .local = !image_reference_is(service->image->title),
                .has_init = init,
                .entrypoint = known->config.entrypoint,
                .command = known->config.command,
                .environment = known->config.env,
                .ports = known->config.ports,
                .user = known->config.user,
                .working_dir = known->config.working_dir,
                .definition_command = definition ? definition->service_command : NULL,
                .definition_ports = definition ? definition->service_ports : NULL,
        };
        return service_start_make(service->work->service, &image, &service->start);
}

int service_machine_await_job(ServiceMachine *service) {
        const ServiceWork *work = service->work;
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        struct pollfd pollfds[] = { { .fd = work->go_fd, .events = POLLIN },
                                    { .fd = work->signal_fd, .events = POLLIN } };
        char byte;

        while (poll(pollfds, ELEMENTSOF(pollfds), -1) < 0)
                if (errno != EINTR)
                        return -errno;
        if (pollfds[1].revents || read(work->go_fd, &byte, 1) != 1)
                return -ECANCELED;
        int r = machine_directory_open(work->settings->runtime_dir, work->job->id, false, &directory);
        return r < 0 ? r : machine_load(&directory, &service->job);
}

int service_machine_take_directory(ServiceMachine *service) {
        const ServiceWork *work = service->work;

        int r = id_of_service(work->job->id, work->number, &service->id);
        if (r < 0)
                return r;
        return machine_directory_lock(work->settings->runtime_dir, service->id, true, DIRECTORY_TIMEOUT_USEC,
                                      &service->directory);
}

/* The service's host name is one of its names, so that it can resolve it. Not every name is a valid host name. */
static const char *host_name(char *const *names) {
        for (; *names; names++)
                if (strlen(*names) <= 63 && !strpbrk(*names, "._") && !endswith(*names, "-"))
                        return *names;
        return NULL;
}

int service_machine_request(ServiceMachine *service, Settings *storage, MachineRequest *ret) {
        const ServiceWork *work = service->work;
        const ServiceStart *start = &service->start;
        MachineRequest request = MACHINE_REQUEST_NONE;

        int r = settings_copy(service->settings, storage);
        if (r < 0)
                return r;
        storage->boot = start->argv ? BOOT_NO : BOOT_EAGER;
        storage->network = service->job->settings.network;
        request.settings = storage;
        request.id = service->id;
        request.image = service->image->title;
        request.tree_path = service->image->current_path;
        request.tree_fd = service->image->fd;
        request.generation = service->image->generation;
        request.names = work->names;
        request.command = start->argv;
        request.directories = service->known->config.volumes;
        request.ports = start->ports;
        request.boot_target = start->argv ? NULL : BOOT_TARGET;
        request.hostname = host_name(work->names);
        request.environment = start->environment;
        request.user = start->user;
        request.working_dir = start->working_dir;
        request.runtime_max_usec = service->job->runtime_max_usec;
        *ret = request;
        return 0;
}

int service_machine_join(ServiceMachine *service) {
        const Machine *job = service->job;
        Machine *machine = service->machine;

        machine->network_number = job_services_address(service->work->number);
        machine->owner_pid = job->owner_pid;
        machine->owner_start = job->owner_start;
        int r = string_replace(&machine->network_of, job->id);
        if (r < 0)
                return r;
        /* What an image of a service says about the whole job does not count. */
        machine->settings.job_memory_high = job->settings.job_memory_high;
        machine->settings.job_memory_max = job->settings.job_memory_max;
        machine->settings.job_tasks_max = job->settings.job_tasks_max;
        machine->needs_loop |= job->needs_loop; /* for what they share */
        r = strv_copy(job->hosts, &machine->hosts);
        return r < 0 ? r : strv_copy(job->volumes, &machine->volumes);
}

bool service_machine_shows_ready(const ServiceMachine *service) {
        return service->machine->ports || service->machine->boot_target;
}

ServiceWait service_machine_wait(const ServiceMachine *service, void (*on_look)(const ServiceMachine *service)) {
        const ServiceWork *work = service->work;
        uint64_t deadline = clock_deadline(work->settings->wait_for_services_usec), wait_usec = READY_POLL_USEC;

        for (;;) {
                struct pollfd pollfd = { .fd = work->signal_fd, .events = POLLIN };
                uint64_t now = clock_now_usec();
                ServiceState state = service_state(service->machine, &service->directory,
                                                   deadline - MIN(now, deadline));

                on_look(service);
                if (state != SERVICE_STARTING)
                        return state == SERVICE_ENDED     ? SERVICE_WAIT_ENDED :
                               state == SERVICE_CANCELLED ? SERVICE_WAIT_CANCELLED :
                                                            SERVICE_WAIT_READY;
                now = clock_now_usec();
                if (now >= deadline)
                        return SERVICE_WAIT_TIMEOUT;
                if (poll(&pollfd, 1, (int) (MIN(wait_usec, deadline - now) / USEC_PER_MSEC) + 1) > 0)
                        return SERVICE_WAIT_CANCELLED;
                wait_usec = MIN(wait_usec * 2, READY_POLL_MAX_USEC);
        }
}
