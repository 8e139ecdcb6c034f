/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts one service of a job. cli/services.c calls this, in a process of its own for each service, so that all of them
 * start side by side. Whatever a job says about a service is looked at as what it says about its image is. */

#include "cli/service-start.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/choose-image.h"
#include "cli/service-log.h"
#include "cli/start-common.h"
#include "config/image-reference.h"
#include "definition/definition.h"
#include "gitlab/exit-status.h"
#include "job/service-start.h"
#include "machine/ready.h"
#include "network/block.h"

#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define READY_POLL_USEC (5 * USEC_PER_MSEC)
#define READY_POLL_MAX_USEC (200 * USEC_PER_MSEC)
#define BOOT_TARGET "default.target"

/* What belongs to one start. */
typedef struct Start {
        const ServiceWork *work;
        Settings base;            /* the configuration's, with the limits of services */
        Settings of_image;        /* with what the image's definition says */
        const Settings *settings; /* one of the two */
        Image *image;
        Generation *known; /* of it */
        Definition *definition;
        ServiceStart start;
        Machine *job; /* the job's own machine */
        Machine *machine;
        MachineDirectory directory;
        char **argv;
        char *id;
} Start;

static void start_done(Start *start) {
        service_start_done(&start->start);
        machine_free(start->machine);
        machine_free(start->job);
        machine_directory_done(&start->directory);
        definition_free(start->definition);
        generation_free(start->known);
        image_free(start->image);
        settings_done(&start->of_image);
        settings_done(&start->base);
        strv_free(start->argv);
        free(start->id);
}

static int take_limits(const Settings *settings, Settings *ret) {
        int r = settings_copy(settings, ret);
        if (r < 0)
                return r;
        if (ret->service_cpu_weight != 0)
                ret->cpu_weight = ret->service_cpu_weight;
        if (ret->service_tasks_max != 0)
                ret->tasks_max = ret->service_tasks_max;
        if (ret->service_memory_high.bytes != 0 || ret->service_memory_high.permyriad != 0)
                ret->memory_high = ret->service_memory_high;
        if (ret->service_memory_max.bytes != 0 || ret->service_memory_max.permyriad != 0)
                ret->memory_max = ret->service_memory_max;
        return 0;
}

/* What the image's definition says about services, if it has one. Who can read it has read it before. */
static int find_definition(Start *start) {
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        int r = definition_find(&start->base, start->image->name, &path, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        return definition_load(path, start->image->name, &start->definition, &problem);
}

static int find_image(Start *start) {
        const ServiceWork *work = start->work;
        ImageChoice choice = { .name = work->service->name, .source = IMAGE_OF_SERVICE };
        const char *ignored;

        int r = take_limits(work->settings, &start->base);
        if (r < 0)
                return log_oom();
        start->base.pull = service_pull_policy(start->base.pull, work->service->pull_policies, &ignored);
        if (ignored)
                log_warning("'pull_policy: %s' is ignored: the runner's setting pull does not allow it", ignored);
        r = choose_image(&start->base, &choice, work->signal_fd, &start->image);
        if (r != 0)
                return r;
        r = settings_of_image_logged(&start->base, &choice, start->image, &start->of_image, &start->settings);
        if (r != 0)
                return r;
        r = generation_load_of(start->image, &start->known);
        if (r >= 0 && !image_reference_is(start->image->title))
                r = find_definition(start);
        return r < 0 ? log_error_errno(r, "Cannot read what is known of image '%s': %m", start->image->title) : 0;
}

/* What it runs. */
static int find_command(Start *start) {
        const Generation *known = start->known;
        const char *init = NULL;

        int r = image_boot(start->image->fd, BOOT_AUTO, &init);
        if (r < 0)
                return log_error_errno(r, "Cannot look into image '%s': %m", start->image->title);
        ServiceImage image = {
                .local = !image_reference_is(start->image->title),
                .has_init = init,
                .entrypoint = known->config.entrypoint,
                .command = known->config.command,
                .environment = known->config.env,
                .ports = known->config.ports,
                .user = known->config.user,
                .working_dir = known->config.working_dir,
                .definition_command = start->definition ? start->definition->service_command : NULL,
                .definition_ports = start->definition ? start->definition->service_ports : NULL,
        };
        r = service_start_make(start->work->service, &image, &start->start);
        if (r != -ENOEXEC)
                return r < 0 ? log_oom() : 0;
        log_error(
                "Image '%s' does not say what to run as a service, and has no systemd: give the service a 'command:'%s",
                start->image->title,
                image.local ? ", or the image a definition with nspawn_runner_service_command" : "");
        return STAGE_BUILD_FAILURE;
}

/* 0: the job's own machine was begun, and its plan can be read. */
static int wait_for_job(Start *start) {
        const ServiceWork *work = start->work;
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
        return r < 0 ? r : machine_load(&directory, &start->job);
}

/* The service's own host name is one that it can resolve. Not all names can be one. */
static const char *host_name(char *const *names) {
        for (; *names; names++)
                if (strlen(*names) <= 63 && !strpbrk(*names, "._"))
                        return *names;
        return NULL;
}

static int take_directory(Start *start) {
        const ServiceWork *work = start->work;

        int r = id_of_service(work->job->id, work->number, &start->id);
        if (r < 0)
                return log_error_errno(r, "Job %s cannot have a service with number %u: %m", work->job->id,
                                       work->number);
        r = machine_directory_lock(work->settings->runtime_dir, start->id, true, DIRECTORY_TIMEOUT_USEC,
                                   &start->directory);
        return r < 0 ? log_error_errno(r, "Cannot make the directory of service %s: %m", start->id) : 0;
}

unsigned service_address(unsigned number) {
        return BLOCK_JOB + number;
}

/* What it has in common with the job: volumes, network, names. */
static int join_job(const Start *start) {
        const Machine *job = start->job;
        Machine *machine = start->machine;

        machine->network_number = service_address(start->work->number);
        int r = string_replace(&machine->network_of, job->id);
        if (r < 0)
                return r;
        r = strv_copy(job->hosts, &machine->hosts);
        return r < 0 ? r : strv_copy(job->volumes, &machine->volumes);
}

static int plan(Start *start) {
        const ServiceWork *work = start->work;
        _cleanup_(settings_done) Settings settings = { 0 };
        MachineRequest request = MACHINE_REQUEST_NONE;

        int r = settings_copy(start->settings, &settings);
        if (r < 0)
                return log_oom();
        settings.boot = start->start.argv ? BOOT_NO : BOOT_EAGER;
        settings.network = start->job->settings.network;
        request.settings = &settings;
        request.id = start->id;
        request.image = start->image->title;
        request.tree_path = start->image->current_path;
        request.tree_fd = start->image->fd;
        request.generation = start->image->generation;
        request.names = work->names;
        request.command = start->start.argv;
        request.directories = start->known->config.volumes;
        request.ports = start->start.ports;
        request.boot_target = start->start.argv ? NULL : BOOT_TARGET;
        request.hostname = host_name(work->names);
        request.environment = start->start.environment;
        request.user = start->start.user;
        request.working_dir = start->start.working_dir;
        request.runtime_max_usec = start->job->runtime_max_usec;
        r = plan_logged(&request, &start->machine, &start->argv);
        if (r != 0)
                return r;
        r = join_job(start);
        return r < 0 ? log_oom() : 0;
}

static int start_machine(Start *start) {
        const ServiceWork *work = start->work;
        Problem problem = { 0 };

        int r = machine_start(start->machine, &start->directory, start->argv, start->image->fd,
                              start->settings->start_timeout_usec, work->signal_fd, &problem);
        return r != 0 ? failed_start_logged(start->machine, &start->directory, r, &problem) : 0;
}

static void warn_not_ready(const Start *start, const char *why) {
        log_warning("*** The service probably didn't start properly: %s", why);
        service_log_end(start->machine, &start->directory);
}

static void warn_ended(const Start *start) {
        _cleanup_free_ char *why = machine_file_read(&start->directory, MACHINE_FILE_ENDED);

        warn_not_ready(start, why ? why : "it ended");
}

/* The lines themselves say whose they are. */
static void copy_log(const Start *start) {
        log_set_subject(NULL);
        service_log_copy(start->machine, &start->directory, false);
        log_set_subject(start->work->subject);
}

/* Returns 0, or -EINTR. */
static int wait_until_ready(Start *start) {
        const ServiceWork *work = start->work;
        uint64_t timeout_usec = work->settings->wait_for_services_usec, deadline = clock_deadline(timeout_usec);
        uint64_t wait_usec = READY_POLL_USEC;
        char why[128];

        for (;;) {
                struct pollfd pollfd = { .fd = work->signal_fd, .events = POLLIN };
                ServiceState state = service_state(start->machine, &start->directory);

                if (work->debug)
                        copy_log(start);
                if (state == SERVICE_ENDED)
                        warn_ended(start);
                if (state != SERVICE_STARTING)
                        return 0;
                uint64_t now = clock_now_usec();
                if (now >= deadline)
                        break;
                if (poll(&pollfd, 1, (int) (MIN(wait_usec, deadline - now) / USEC_PER_MSEC) + 1) > 0)
                        return -EINTR;
                wait_usec = MIN(wait_usec * 2, READY_POLL_MAX_USEC);
        }
        snprintf(why, sizeof(why), "%s after %" PRIu64 " s (wait_for_services_timeout)",
                 start->machine->ports ? "it does not listen on its port" : "its systemd is not done with booting",
                 timeout_usec / USEC_PER_SEC);
        warn_not_ready(start, why);
        return 0;
}

static int wait_or_not(Start *start) {
        if (start->work->settings->wait_for_services_usec == 0)
                return 0;
        if (!start->machine->ports && !start->machine->boot_target) {
                log_notice("Nobody says on which port it listens: the job does not wait for it. The service's variable "
                           "HEALTHCHECK_TCP_PORT can name one");
                return 0;
        }
        uint64_t begin_usec = clock_now_usec();
        int r = wait_until_ready(start);
        log_verbose("waited %" PRIu64 " ms for it", (clock_now_usec() - begin_usec) / USEC_PER_MSEC);
        return r;
}

int service_work(const ServiceWork *work) {
        _cleanup_(start_done) Start start = { .work = work, .directory = MACHINE_DIRECTORY_NONE };

        int r = find_image(&start);
        if (r != 0)
                return r;
        r = find_command(&start);
        if (r != 0)
                return r;
        r = wait_for_job(&start);
        if (r < 0)
                return r;
        r = take_directory(&start);
        if (r < 0)
                return r;
        r = plan(&start);
        if (r != 0)
                return r;
        r = start_machine(&start);
        return r != 0 ? r : wait_or_not(&start);
}
