/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Supervisor for hosts with systemd: `supervise` runs as a transient service (org.freedesktop.systemd1(5)), and
 * systemd keeps its limits and devices. The containers of a job with services are in a slice of their own, which
 * systemd removes with the last of them. Called through the struct at the end only. */

#include <fcntl.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/string.h"
#include "container/bus.h"
#include "container/slice.h"
#include "container/supervisor.h"
#include "container/unit-message.h"

#define MANAGER "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"
#define ALREADY_SUBSCRIBED "org.freedesktop.systemd1.AlreadySubscribed"
#define NO_SUCH_PROCESS "org.freedesktop.systemd1.NoSuchProcess"
/* How long a unit may take to go before it is ended once more. */
#define END_AGAIN_USEC (200 * USEC_PER_MSEC)
#define STRAGGLERS_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define STRAGGLERS_POLL_USEC (500)
#define UNIT_EXISTS "org.freedesktop.systemd1.UnitExists"

static int unit_name(const char *name, char **ret) {
        return string_printf(ret, "%s.service", name);
}

/* The slice of the container; NULL: it is in none. Whether that of a service is there already cannot be looked at: systemd
 * only makes it when it starts the job's own unit, some time after it was asked to. If the job has ended meanwhile, this
 * makes a slice anew, which goes with what is left of the job. */
static int choose_slice(const Machine *machine, char **ret) {
        return slice_is_of(machine) || machine->network_of ? slice_name(machine->name, ret) : 0;
}

static int systemd_start(const Machine *machine, char *const argv[], int listen_fd, Problem *reterr_problem) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *message = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;
        _cleanup_free_ char *unit = NULL, *slice = NULL;

        int r = unit_name(machine->name, &unit);
        if (r < 0)
                return r;
        r = choose_slice(machine, &slice);
        if (r < 0)
                return r;
        r = bus_open(&bus);
        if (r < 0)
                return r;
        const UnitRequest request = {
                .unit = unit,
                .slice = slice,
                .machine = machine,
                .argv = argv,
                .listen_fd = listen_fd,
        };
        r = bus_api.sd_bus_message_new_method_call(bus, &message, MANAGER, "StartTransientUnit");
        if (r < 0)
                return r;
        r = unit_message_append(message, &request);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call(bus, message, 0, &error, NULL);
        if (r < 0 && bus_api.sd_bus_error_has_name(&error, UNIT_EXISTS))
                r = -EEXIST;
        return r < 0 && error.message ? problem_set(reterr_problem, r, "%s", error.message) : MIN(r, 0);
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

enum { UNIT_WAS_ENDED = 1, NO_UNIT, ENDS_ALREADY };

typedef int EndUnit(sd_bus *bus, const char *unit, sd_bus_error *error);

static int kill_unit(sd_bus *bus, const char *unit, sd_bus_error *error) {
        return bus_api.sd_bus_call_method(bus, MANAGER, "KillUnit", error, NULL, "ssi", unit, "all", SIGKILL);
}

/* systemd would load a unit that it does not have, only to stop it. */
static int stop_unit(sd_bus *bus, const char *unit, sd_bus_error *error) {
        int r = bus_api.sd_bus_call_method(bus, MANAGER, "GetUnit", error, NULL, "s", unit);
        if (r < 0)
                return r;
        return bus_api.sd_bus_call_method(bus, MANAGER, "StopUnit", error, NULL, "ss", unit, "replace");
}

/* Ends a unit once. 0; NO_UNIT: there is none; ENDS_ALREADY: nothing was left to end in it; or another -errno. */
static int end_once(sd_bus *bus, const char *unit, EndUnit *end) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = end(bus, unit, &error);
        if (r < 0 && bus_api.sd_bus_error_has_name(&error, NO_SUCH_UNIT))
                return NO_UNIT;
        if (r < 0 && bus_api.sd_bus_error_has_name(&error, NO_SUCH_PROCESS))
                return ENDS_ALREADY;
        return MIN(r, 0);
}

/* Ends a unit and waits until it is removed, by asking again: systemd says of all units that it removes them when it loads
 * its configuration anew. A service that only waits for its start has nothing in it to kill: then it is stopped. 0;
 * UNIT_WAS_ENDED: something else had ended it; or -errno. */
static int end_unit(sd_bus *bus, const char *unit, EndUnit *end, uint64_t timeout_usec) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_slot_ sd_bus_slot *slot = NULL;
        uint64_t deadline = clock_deadline(timeout_usec);
        const char *waiting = NULL;
        bool was_ended = true;

        /* Listen first: the signal of a unit that goes fast must not be missed. */
        int r = bus_api.sd_bus_match_signal(bus, &slot, MANAGER, "UnitRemoved", on_unit_removed, &waiting);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call_method(bus, MANAGER, "Subscribe", &error, NULL, NULL);
        if (r < 0 && !bus_api.sd_bus_error_has_name(&error, ALREADY_SUBSCRIBED))
                return r;
        for (;;) {
                waiting = unit;
                r = end_once(bus, unit, end);
                if (r < 0)
                        return r;
                if (r == NO_UNIT)
                        return was_ended ? UNIT_WAS_ENDED : 0;
                was_ended = was_ended && r == ENDS_ALREADY;
                r = wait_until_removed(bus, &waiting, END_AGAIN_USEC);
                if (r == -ETIMEDOUT)
                        end = stop_unit;
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
                if (clock_now_usec() >= deadline)
                        return -ETIMEDOUT;
        }
}

/* Does @name have a slice, as far as control groups show? */
static bool has_slice(const char *name) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        return slice_groups(CGROUP_MACHINES, name, &groups) >= 0;
}

/* Ends the slice of job @name, and what is still in it. As a rule its control groups have gone already, but systemd refuses
 * to start another one of that name until it has removed the unit as well. */
static int end_slice(sd_bus *bus, const char *name, uint64_t timeout_usec) {
        _cleanup_free_ char *slice = NULL;

        int r = slice_name(name, &slice);
        if (r < 0)
                return r;
        r = end_unit(bus, slice, stop_unit, timeout_usec);
        return MIN(r, 0);
}

static int systemd_groups(const char *name, CgroupSet *ret) {
        _cleanup_free_ char *unit = NULL, *slice = NULL;

        int r = unit_name(name, &unit);
        if (r < 0)
                return r;
        r = slice_name(name, &slice);
        return r < 0 ? r : cgroup_of_container(CGROUP_MACHINES, slice, unit, ret);
}

static int systemd_slice(const char *name, CgroupSet *ret) {
        return slice_groups(CGROUP_MACHINES, name, ret);
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
        r = systemd_groups(name, &groups);
        if (r < 0)
                return r;
        (void) cgroup_visit(&groups, add_member, &members);
        bool job = id_service_number(name, NULL) == 0, sliced = job && has_slice(name);
        r = end_unit(bus, unit, kill_unit, timeout_usec);
        if (r < 0)
                return r;
        wait_for_stragglers(name, &members);
        /* Where the unit had ended before, so may have the slice's control groups. */
        return sliced || (job && r == UNIT_WAS_ENDED) ? end_slice(bus, name, timeout_usec) : 0;
}

/* What follows @prefix in the name of a service or a slice. */
static int id_of_unit(const char *unit, const char *prefix, char **ret) {
        const char *rest = startswith(unit, prefix), *end = rest ? endswith(rest, ".service") : NULL;

        if (!end)
                return slice_job(unit, prefix, ret);
        char *id = strndup(rest, (size_t) (end - rest));
        if (!id)
                return -ENOMEM;
        *ret = id;
        return 0;
}

static int read_units(sd_bus_message *reply, const char *prefix, char ***ids) {
        const char *unit;
        int r;

        while ((r = bus_api.sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                                                NULL, NULL)) > 0) {
                _cleanup_free_ char *id = NULL;

                r = id_of_unit(unit, prefix, &id);
                if (r == 0)
                        r = strv_extend(ids, id);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return r;
}

static int systemd_list(const char *prefix, char ***ids) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *services = NULL, *slices = NULL;
        _cleanup_bus_ sd_bus *bus = NULL;

        int r = string_printf(&services, "%s*.service", prefix);
        if (r < 0)
                return r;
        r = slice_pattern(prefix, &slices);
        if (r < 0)
                return r;
        r = bus_open(&bus);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_call_method(bus, MANAGER, "ListUnitsByPatterns", &error, &reply, "asas", 0, 2, services,
                                       slices);
        if (r < 0)
                return r;
        r = bus_api.sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        return r < 0 ? r : read_units(reply, prefix, ids);
}

const Supervisor supervisor_systemd = {
        .name = "systemd",
        .usable = host_is_systemd,
        .moves = true,
        .start = systemd_start,
        .stop = systemd_stop,
        .groups = systemd_groups,
        .slice = systemd_slice,
        .list = systemd_list,
};
