/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the message that asks systemd to start a container (StartTransientUnit of org.freedesktop.systemd1(5)): the
 * service that is its unit, and the slice of its job. Called by unit.c. It sends nothing and looks at nothing. */

#include "container/unit-message.h"

#include <signal.h>

#include "base/clock.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/bus.h"
#include "container/slice.h"

#define STOP_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* The properties by topic, as systemd.exec(5), systemd.kill(5) and systemd.resource-control(5) have them. */
static int append_service(sd_bus_message *message, const Machine *machine) {
        _cleanup_free_ char *description = NULL;

        int r = machine_description(machine, &description);
        if (r < 0)
                return r;
        return bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)(sv)(sv)", "Description", "s", description, "Type",
                                             "s", "notify", "NotifyAccess", "s", "main", "CollectMode", "s",
                                             "inactive-or-failed", "RuntimeMaxUSec", "t", machine->runtime_max_usec);
}

static int append_killing(sd_bus_message *message) {
        /* A step that runs out of memory fails, but the container stays and can say so. `cleanup` ends a container by
         * SIGKILL, which is no failure. */
        return bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "KillMode", "s", "mixed", "TimeoutStopUSec",
                                             "t", STOP_TIMEOUT_USEC, "OOMPolicy", "s", "continue", "SuccessExitStatus",
                                             "(aiai)", 0, 1, SIGKILL);
}

static int append_limits(sd_bus_message *message, const CgroupLimits *limits) {
        return bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "CPUWeight", "t", limits->cpu_weight,
                                             "MemoryHigh", "t", limits->memory_high_bytes, "MemoryMax", "t",
                                             limits->memory_max_bytes, "TasksMax", "t", limits->tasks_max);
}

static int append_resources(sd_bus_message *message, const UnitRequest *request) {
        const CgroupLimits limits = machine_limits(request->machine);

        int r = bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)", "Slice", "s",
                                              request->slice ? request->slice : CGROUP_MACHINES, "IOAccounting", "b",
                                              true, "Delegate", "b", true);
        return r < 0 ? r : append_limits(message, &limits);
}

/* Those device nodes among @binds. `supervise` makes nodes of them, for which it needs the "m"; a job makes none. */
static int append_bound_devices(sd_bus_message *message, char *const binds[], const char *access) {
        for (char *const *bind = binds; bind && *bind; bind++) {
                char device[BIND_DEVICE_MAX];

                if (!bind_is_device(*bind, device))
                        continue;
                int r = bus_api.sd_bus_message_append(message, "(ss)", device, access);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Opens property @name, whose type @type is an array: three containers for close_containers(). */
static int open_array(sd_bus_message *message, const char *name, const char *type) {
        int r = bus_api.sd_bus_message_open_container(message, 'r', "sv");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "s", name);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_open_container(message, 'v', type);
        return r < 0 ? r : bus_api.sd_bus_message_open_container(message, 'a', type + 1);
}

static int close_containers(sd_bus_message *message, unsigned n) {
        while (n-- > 0) {
                int r = bus_api.sd_bus_message_close_container(message);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The devices of systemd-nspawn@.service, and those that the configuration binds: what gets hold of a node of another
 * one cannot open it. "closed" has the usual ones, such as /dev/null. */
static int append_devices(sd_bus_message *message, const Machine *machine) {
        int r = bus_api.sd_bus_message_append(message, "(sv)", "DevicePolicy", "s", "closed");
        if (r < 0)
                return r;
        r = open_array(message, "DeviceAllow", "a(ss)");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "(ss)(ss)", "char-pts", "rw", "/dev/net/tun", "rwm");
        if (r < 0)
                return r;
        /* Mounting the device takes the right to open it. No job has a node of it, and none can make one. */
        if (machine->needs_loop)
                r = bus_api.sd_bus_message_append(message, "(ss)(ss)", "/dev/loop-control", "rw", "block-loop", "rw");
        if (r < 0)
                return r;
        /* Of two entries for one device, the last one counts. */
        r = append_bound_devices(message, machine->settings.bind_ro, "rm");
        if (r < 0)
                return r;
        r = append_bound_devices(message, machine->settings.bind, "rwm");
        return r < 0 ? r : close_containers(message, 3);
}

static int append_command(sd_bus_message *message, char *const argv[]) {
        int r = open_array(message, "ExecStart", "a(sasb)");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_open_container(message, 'r', "sasb");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "s", argv[0]);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append_strv(message, (char **) argv);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "b", false);
        return r < 0 ? r : close_containers(message, 4);
}

static int append_exec(sd_bus_message *message, char *const argv[], int listen_fd) {
        /* "<0>" at the start of a line of the container's console is no priority: the journal shows such lines on all
         * terminals of the host. */
        int r = bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)(sv)", "StandardInputFileDescriptor", "h",
                                              listen_fd, "StandardOutput", "s", "journal", "StandardError", "s",
                                              "journal", "SyslogLevelPrefix", "b", false);
        return r < 0 ? r : append_command(message, argv);
}

static int append_properties(sd_bus_message *message, const UnitRequest *request) {
        int r = bus_api.sd_bus_message_open_container(message, 'a', "(sv)");
        if (r < 0)
                return r;
        r = append_service(message, request->machine);
        if (r < 0)
                return r;
        r = append_killing(message);
        if (r < 0)
                return r;
        r = append_resources(message, request);
        if (r < 0)
                return r;
        r = append_devices(message, request->machine);
        if (r < 0)
                return r;
        r = append_exec(message, request->argv, request->listen_fd);
        return r < 0 ? r : close_containers(message, 1);
}

/* The slice that the job's own service begins. Nothing but the containers in it keeps it. */
static int append_slice(sd_bus_message *message, const UnitRequest *request) {
        const CgroupLimits limits = slice_limits(request->machine);
        _cleanup_free_ char *description = NULL;

        int r = machine_description(request->machine, &description);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_open_container(message, 'r', "sa(sv)");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "s", request->slice);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_open_container(message, 'a', "(sv)");
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_append(message, "(sv)(sv)(sv)", "Description", "s", description, "CollectMode", "s",
                                          "inactive-or-failed", "StopWhenUnneeded", "b", true);
        if (r < 0)
                return r;
        r = append_limits(message, &limits);
        return r < 0 ? r : close_containers(message, 2);
}

/* Auxiliary units are made before the service is started. */
static int append_auxiliary(sd_bus_message *message, const UnitRequest *request) {
        int r = bus_api.sd_bus_message_open_container(message, 'a', "(sa(sv))");
        if (r < 0)
                return r;
        r = slice_is_of(request->machine) ? append_slice(message, request) : 0;
        return r < 0 ? r : close_containers(message, 1);
}

int unit_message_append(sd_bus_message *message, const UnitRequest *request) {
        int r = bus_api.sd_bus_message_append(message, "ss", request->unit, "fail");
        if (r < 0)
                return r;
        r = append_properties(message, request);
        return r < 0 ? r : append_auxiliary(message, request);
}
