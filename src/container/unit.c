/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Supervisor for hosts with systemd: `supervise` runs as a transient service (org.freedesktop.systemd1(5)), and
 * systemd keeps its limits and devices. Called through the struct at the end only. libsystemd is used here and
 * nowhere else. */

#include <fcntl.h>
#include <signal.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/library.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/supervisor.h"

#define FUNCTIONS(X)                      \
        X(sd_bus_open_system)             \
        X(sd_bus_flush_close_unref)       \
        X(sd_bus_call)                    \
        X(sd_bus_call_method)             \
        X(sd_bus_match_signal)            \
        X(sd_bus_process)                 \
        X(sd_bus_wait)                    \
        X(sd_bus_slot_unref)              \
        X(sd_bus_message_new_method_call) \
        X(sd_bus_message_append)          \
        X(sd_bus_message_append_strv)     \
        X(sd_bus_message_open_container)  \
        X(sd_bus_message_close_container) \
        X(sd_bus_message_enter_container) \
        X(sd_bus_message_exit_container)  \
        X(sd_bus_message_read)            \
        X(sd_bus_message_unref)           \
        X(sd_bus_error_has_name)          \
        X(sd_bus_error_get_errno)         \
        X(sd_bus_error_free)

static struct { FUNCTIONS(LIBRARY_POINTER) } bus_api;

#define MANAGER "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"
#define NO_SUCH_PROCESS "org.freedesktop.systemd1.NoSuchProcess"
#define STRAGGLERS_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define STRAGGLERS_POLL_USEC (500)
#define UNIT_EXISTS "org.freedesktop.systemd1.UnitExists"
#define STOP_TIMEOUT_USEC (10 * USEC_PER_SEC)

static void bus_closep(sd_bus **bus) {
        if (*bus)
                bus_api.sd_bus_flush_close_unref(*bus);
}

static void message_unrefp(sd_bus_message **message) {
        if (*message)
                bus_api.sd_bus_message_unref(*message);
}

static void slot_unrefp(sd_bus_slot **slot) {
        if (*slot)
                bus_api.sd_bus_slot_unref(*slot);
}

static void error_done(sd_bus_error *error) {
        bus_api.sd_bus_error_free(error);
}

#define _cleanup_bus_ _cleanup_(bus_closep)
#define _cleanup_message_ _cleanup_(message_unrefp)
#define _cleanup_error_ _cleanup_(error_done)

static int bus_open(sd_bus **ret) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

        int r = library_load(LIBRARY_SYSTEMD, names, (void **) &bus_api);
        return r < 0 ? r : bus_api.sd_bus_open_system(ret);
}

static int unit_name(const char *name, char **ret) {
        return string_printf(ret, "%s.service", name);
}

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

static int append_resources(sd_bus_message *message, const Machine *machine) {
        return bus_api.sd_bus_message_append(
                message, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Slice", "s", "machine.slice", "IOAccounting", "b", true,
                "Delegate", "b", true, "CPUWeight", "t", machine->settings.cpu_weight, "MemoryHigh", "t",
                machine->settings.memory_high.bytes, "MemoryMax", "t", machine->settings.memory_max.bytes, "TasksMax",
                "t", machine->settings.tasks_max);
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

static int append_properties(sd_bus_message *message, const Machine *machine, char *const argv[], int listen_fd) {
        int r = bus_api.sd_bus_message_open_container(message, 'a', "(sv)");
        if (r < 0)
                return r;
        r = append_service(message, machine);
        if (r < 0)
                return r;
        r = append_killing(message);
        if (r < 0)
                return r;
        r = append_resources(message, machine);
        if (r < 0)
                return r;
        r = append_devices(message, machine);
        if (r < 0)
                return r;
        r = append_exec(message, argv, listen_fd);
        return r < 0 ? r : close_containers(message, 1);
}

/* The arguments of StartTransientUnit: name, mode, properties, and auxiliary units, of which there are none. */
static int append_unit(sd_bus_message *message, const char *unit, const Machine *machine, char *const argv[],
                       int listen_fd) {
        int r = bus_api.sd_bus_message_append(message, "ss", unit, "fail");
        if (r < 0)
                return r;
        r = append_properties(message, machine, argv, listen_fd);
        return r < 0 ? r : bus_api.sd_bus_message_append(message, "a(sa(sv))", 0);
}

static int systemd_start(const Machine *machine, char *const argv[], int listen_fd) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *message = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;
        _cleanup_free_ char *unit = NULL;

        int r = unit_name(machine->name, &unit);
        if (r < 0)
                return r;
        r = bus_open(&bus);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_new_method_call(bus, &message, MANAGER, "StartTransientUnit");
        if (r < 0)
                return r;
        r = append_unit(message, unit, machine, argv, listen_fd);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call(bus, message, 0, &error, NULL);
        if (r < 0 && bus_api.sd_bus_error_has_name(&error, UNIT_EXISTS))
                return -EEXIST;
        return MIN(r, 0);
}

static int on_unit_removed(sd_bus_message *message, void *userdata, _unused_ sd_bus_error *error) {
        const char *unit;
        const char **waiting = userdata;

        if (bus_api.sd_bus_message_read(message, "s", &unit) > 0 && *waiting && streq(unit, *waiting))
                *waiting = NULL;
        return 0;
}

static int wait_until_removed(sd_bus *bus, const char **waiting, uint64_t timeout_usec) {
        uint64_t deadline = clock_deadline(timeout_usec);

        while (*waiting) {
                uint64_t now = clock_now_usec();
                int r = bus_api.sd_bus_process(bus, NULL);

                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                if (now >= deadline)
                        return -ETIMEDOUT;
                r = bus_api.sd_bus_wait(bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

/* The processes that were in the unit when it was killed. */
typedef struct Members {
        pid_t *pids;
        size_t n;
} Members;

static void members_done(Members *members) {
        free(members->pids);
}

static void add_member(pid_t pid, void *userdata) {
        Members *members = userdata;
        pid_t *grown = reallocarray(members->pids, members->n + 1, sizeof(pid_t));

        if (!grown)
                return;
        members->pids = grown;
        members->pids[members->n++] = pid;
}

static bool any_lives(const Members *members) {
        for (size_t i = 0; i < members->n; i++)
                if (kill(members->pids[i], 0) >= 0)
                        return true;
        return false;
}

/* systemd counts a unit as gone as soon as its last process begins to exit, and machined learns of it even later. */
static void wait_for_stragglers(const char *name, const Members *members) {
        uint64_t deadline = clock_deadline(STRAGGLERS_TIMEOUT_USEC);
        _cleanup_free_ char *machine = NULL;

        if (string_printf(&machine, "/run/systemd/machines/%s", name) < 0)
                return;
        while ((any_lives(members) || access(machine, F_OK) >= 0) && clock_now_usec() < deadline)
                clock_sleep_usec(STRAGGLERS_POLL_USEC);
}

static int kill_unit(sd_bus *bus, const char *unit, uint64_t timeout_usec) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL, kill_error = SD_BUS_ERROR_NULL;
        _cleanup_(slot_unrefp) sd_bus_slot *slot = NULL;
        const char *waiting = unit;

        /* Listen first: the signal of a unit that goes fast must not be missed. */
        int r = bus_api.sd_bus_match_signal(bus, &slot, MANAGER, "UnitRemoved", on_unit_removed, &waiting);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call_method(bus, MANAGER, "Subscribe", &error, NULL, NULL);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call_method(bus, MANAGER, "KillUnit", &kill_error, NULL, "ssi", unit, "all", SIGKILL);
        if (r < 0 && bus_api.sd_bus_error_has_name(&kill_error, NO_SUCH_UNIT))
                return 0;
        /* There is nothing left to kill in it: it is about to be removed. */
        if (r < 0 && !bus_api.sd_bus_error_has_name(&kill_error, NO_SUCH_PROCESS))
                return r;
        return wait_until_removed(bus, &waiting, timeout_usec);
}

static int systemd_stop(const char *name, uint64_t timeout_usec) {
        _cleanup_(members_done) Members members = { 0 };
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };
        _cleanup_bus_ sd_bus *bus = NULL;
        _cleanup_free_ char *unit = NULL;

        int r = unit_name(name, &unit);
        if (r < 0)
                return r;
        r = bus_open(&bus);
        if (r < 0)
                return r;
        r = cgroup_of_machine_unit(unit, &groups);
        if (r < 0)
                return r;
        (void) cgroup_visit(&groups, add_member, &members);
        r = kill_unit(bus, unit, timeout_usec);
        if (r < 0)
                return r;
        wait_for_stragglers(name, &members);
        return r;
}

static int systemd_groups(const char *name, CgroupSet *ret) {
        _cleanup_free_ char *unit = NULL;

        int r = unit_name(name, &unit);
        return r < 0 ? r : cgroup_of_machine_unit(unit, ret);
}

static int systemd_list(const char *prefix, char ***ids) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;
        _cleanup_free_ char *pattern = NULL;
        const char *unit;

        int r = string_printf(&pattern, "%s*.service", prefix);
        if (r < 0)
                return r;
        r = bus_open(&bus);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call_method(bus, MANAGER, "ListUnitsByPatterns", &error, &reply, "asas", 0, 1, pattern);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = bus_api.sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                                                NULL, NULL)) > 0) {
                _cleanup_free_ char *id = strdup(unit + strlen(prefix));
                if (!id)
                        return -ENOMEM;
                id[strlen(id) - strlen(".service")] = 0;
                r = strv_extend(ids, id);
                if (r < 0)
                        return r;
        }
        return MIN(r, 0);
}

const Supervisor supervisor_systemd = {
        .name = "systemd",
        .usable = host_is_systemd,
        .start = systemd_start,
        .stop = systemd_stop,
        .groups = systemd_groups,
        .list = systemd_list,
};
