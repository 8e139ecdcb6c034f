/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "job/service-start.h"
#include "job/services.h"
#include "machine/plan.h"
#include "machine/ready.h"

/* The container of one service. */
typedef struct ServiceMachine {
        const ServiceWork *work;
        Settings base;            /* the configuration's, with the limits of services */
        Settings of_image;        /* with what the image's definition says */
        const Settings *settings; /* one of the two */
        Image *image;
        Generation *known; /* of it */
        Definition *definition;
        ServiceStart start;
        Machine *job; /* the job's own container */
        Machine *machine;
        MachineDirectory directory;
        char **argv; /* the command that carries the container out */
        char *id;
} ServiceMachine;

#define SERVICE_MACHINE_NONE(_work)                                \
        (ServiceMachine) {                                         \
                .work = _work, .directory = MACHINE_DIRECTORY_NONE \
        }

void service_machine_done(ServiceMachine *service);
#define _cleanup_service_machine_ _cleanup_(service_machine_done)

/* In the order in which they are called. Each returns 0 or -errno, where it does not say more. */

/* The configuration's settings, with the limits of services. */
int service_machine_settings(ServiceMachine *service);

/* Reads what is known of the image. The caller has opened it and found its settings. */
int service_machine_describe(ServiceMachine *service);

/* Decides what the service runs. -ENOEXEC: nothing says what to run, and the image has no systemd. */
int service_machine_command(ServiceMachine *service);

/* Waits until the job's own container was started, and reads its plan. -ECANCELED: it will not be started, or
 * signal_fd is readable. */
int service_machine_await_job(ServiceMachine *service);

/* The container's id, and its directory, locked. */
int service_machine_take_directory(ServiceMachine *service);

/* Fills in what the plan is made from. After the plan was made, call settings_done() for @storage. */
int service_machine_request(ServiceMachine *service, Settings *storage, MachineRequest *ret);

/* Puts into the plan what the container has in common with the job: volumes, network, names. */
int service_machine_join(ServiceMachine *service);

typedef enum ServiceWait {
        SERVICE_WAIT_READY,
        SERVICE_WAIT_ENDED,
        SERVICE_WAIT_TIMEOUT,
        SERVICE_WAIT_CANCELLED,
} ServiceWait;

/* Can it be found out whether the service is ready? */
bool service_machine_shows_ready(const ServiceMachine *service);

/* Waits until the started container is ready, at most for the time in the settings. Calls @on_look before each look
 * at it. */
ServiceWait service_machine_wait(const ServiceMachine *service, void (*on_look)(const ServiceMachine *service));
