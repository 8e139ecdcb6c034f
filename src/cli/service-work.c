/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says in the log of a job what becomes of its services while `prepare` starts them, and chooses their images. Only
 * `prepare` calls this. What is done is in job/services.c and job/service-machine.c. */

#include "cli/service-work.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/choose-image.h"
#include "cli/start-common.h"
#include "config/image-reference.h"
#include "gitlab/exit-status.h"
#include "job/service-log.h"
#include "job/service-machine.h"

static void on_line(const char *line) {
        log_notice("%s", line);
}

static int find_image(ServiceMachine *service) {
        const ServiceWork *work = service->work;
        ImageChoice choice = { .name = work->service->name,
                               .source = IMAGE_OF_SERVICE,
                               .pull_policies = work->service->pull_policies };

        if (service_machine_settings(service) < 0)
                return log_oom();
        int r = choose_image(&service->base, &choice, work->signal_fd, &service->image);
        if (r != 0)
                return r;
        r = settings_of_image_logged(&service->base, &choice, service->image, &service->of_image, &service->settings);
        if (r != 0)
                return r;
        r = service_machine_describe(service);
        return r < 0 ? log_error_errno(r, "Cannot read what is known of image '%s': %m", service->image->title) : 0;
}

static int find_command(ServiceMachine *service) {
        const char *title = service->image->title;

        int r = service_machine_command(service);
        if (r != -ENOEXEC)
                return r < 0 ? log_error_errno(r, "Cannot find out what image '%s' runs: %m", title) : 0;
        log_error(
                "Image '%s' does not say what to run as a service, and has no systemd: give the service a 'command:'%s",
                title,
                image_reference_is(title) ? "" : ", or the image a definition with nspawn_runner_service_command");
        return STAGE_BUILD_FAILURE;
}

static int plan(ServiceMachine *service) {
        _cleanup_(settings_done) Settings storage = { 0 };
        MachineRequest request;

        int r = service_machine_take_directory(service);
        if (r < 0)
                return log_error_errno(r, "Cannot make the directory of service %u of job %s: %m",
                                       service->work->number, service->work->job->id);
        r = service_machine_request(service, &storage, &request);
        if (r < 0)
                return log_oom();
        r = plan_logged(&request, &service->machine, &service->argv);
        if (r != 0)
                return r;
        return service_machine_join(service) < 0 ? log_oom() : 0;
}

static int start_machine(ServiceMachine *service) {
        Problem problem = { 0 };

        int r = machine_start(service->machine, &service->directory, service->argv, service->image->fd,
                              service->settings->start_timeout_usec, service->work->signal_fd, &problem);
        return r != 0 ? failed_start_logged(service->machine, &service->directory, r, &problem) : 0;
}

static void warn_not_ready(const ServiceMachine *service, const char *why) {
        log_warning("*** The service probably didn't start properly: %s", why);
        service_log_end(service->machine, &service->directory, on_line);
}

static void warn_of_timeout(const ServiceMachine *service) {
        char why[128];

        snprintf(why, sizeof(why), "%s after %" PRIu64 " s (wait_for_services_timeout)",
                 service->machine->ports ? "it does not listen on its port" : "its systemd is not done with booting",
                 service->work->settings->wait_for_services_usec / USEC_PER_SEC);
        warn_not_ready(service, why);
}

static void warn_ended(const ServiceMachine *service) {
        _cleanup_free_ char *why = machine_file_read(&service->directory, MACHINE_FILE_ENDED);

        warn_not_ready(service, why ? why : "it ended");
}

/* Each line says itself which service it comes from. */
static void on_look(const ServiceMachine *service) {
        if (!service->work->debug)
                return;
        const char *subject = log_set_subject(NULL);
        service_log_copy(service->machine, &service->directory, false, on_line);
        (void) log_set_subject(subject);
}

static int wait_or_not(const ServiceMachine *service) {
        if (service->work->settings->wait_for_services_usec == 0)
                return 0;
        if (!service_machine_shows_ready(service)) {
                log_notice("Nobody says on which port it listens: the job does not wait for it. The service's variable "
                           "HEALTHCHECK_TCP_PORT can name one");
                return 0;
        }
        uint64_t begin_usec = clock_now_usec();
        ServiceWait wait = service_machine_wait(service, on_look);
        log_verbose("waited %" PRIu64 " ms for it", (clock_now_usec() - begin_usec) / USEC_PER_MSEC);
        if (wait == SERVICE_WAIT_ENDED)
                warn_ended(service);
        if (wait == SERVICE_WAIT_TIMEOUT)
                warn_of_timeout(service);
        return wait == SERVICE_WAIT_CANCELLED ? -EINTR : 0;
}

static int start_service(ServiceMachine *service) {
        int r = find_image(service);
        if (r != 0)
                return r;
        r = find_command(service);
        if (r != 0)
                return r;
        r = service_machine_await_job(service);
        if (r < 0)
                return r;
        r = plan(service);
        if (r != 0)
                return r;
        r = start_machine(service);
        return r != 0 ? r : wait_or_not(service);
}

/* In a process of its own. */
static int work(const ServiceWork *work) {
        _cleanup_service_machine_ ServiceMachine service = SERVICE_MACHINE_NONE(work);
        _cleanup_free_ char *subject = NULL;

        if (string_printf(&subject, "Service '%s': ", work->names[0]) < 0)
                return log_oom();
        (void) log_set_subject(subject);
        int r = start_service(&service);
        (void) log_set_subject(NULL);
        return r;
}

static void warn_of_names(const JobServices *services, size_t i) {
        const ServiceNames *names = &services->names[i];
        const char *image = services->job->services[i].name;

        for (char **name = names->taken; name && *name; name++)
                log_warning("Service '%s': the name '%s' is taken already", image, *name);
        for (char **name = names->invalid; name && *name; name++)
                log_warning("Service '%s': '%s' cannot be the name of a host", image, *name);
        if (!job_services_has(services, i))
                log_warning("Service '%s' is not started: no name is left for it", image ? image : "");
}

/* Warns of keywords of the job's services that have no effect here. */
static void warn_of_ignored(const JobSpec *job) {
        for (size_t i = 0; i < job->n_services; i++)
                if (!isempty(job->services[i].platform)) {
                        log_warning("'platform' of services is ignored: images are fetched for this host's processor");
                        return;
                }
}

int services_begin_logged(const Settings *settings, const JobSpec *job, JobServices *ret) {
        int r = job_services_name(job, ret);
        if (r == SERVICES_TOO_MANY) {
                log_error("The job has %zu services: %d is the most that a job can have", job->n_services_asked,
                          ID_SERVICES_MAX);
                return STAGE_BUILD_FAILURE;
        }
        if (r == SERVICES_LONG_NAMES) {
                log_error(
                        "The names of the job's services ('alias') are too long: together, they may have %zu characters",
                        SERVICES_NAMES_BYTES_MAX);
                return STAGE_BUILD_FAILURE;
        }
        if (r < 0)
                return log_oom();
        if (!ret->names)
                return 0;
        warn_of_ignored(job);
        for (size_t i = 0; i < job->n_services; i++)
                warn_of_names(ret, i);
        r = job_services_begin(settings, ret, work);
        return r < 0 ? log_error_errno(r, "Cannot start the job's services: %m") : 0;
}

static void on_go(const JobService *service, const char *name) {
        log_notice("Starting service %s from image '%s'", name, service->name);
}

void services_go_logged(JobServices *services) {
        job_services_go(services, on_go);
}

int services_wait_logged(JobServices *services, const MachineStarting *starting, int signal_fd) {
        if (!job_services_any(services))
                return 0;
        log_notice("Waiting for services to be up and running");
        int r = job_services_wait(services, starting, signal_fd);
        if (r == SERVICES_FAULT_OF_JOB)
                return STAGE_BUILD_FAILURE;
        if (r == SERVICES_CANCELLED)
                log_error("Cancelled while the job's services were starting");
        if (r == SERVICES_JOB_ENDED)
                log_error("The job's container ended while its services were starting");
        return r == SERVICES_CANCELLED ? -ECANCELED : r == SERVICES_JOB_ENDED ? -ECONNRESET : r;
}
