/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the plan of a machine: whoever wants one, for a job, for an image or to try the host, says what it is made of
 * in a MachineRequest. Nothing is started here, and nothing made but the compiled filter of system calls. */

#include "machine/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "container/seccomp.h"
#include "container/supervisor.h"
#include "machine/directory.h"
#include "machine/part.h"
#include "storage/disk.h"
#include "storage/storage.h"

static int random_uuid(char **ret) {
        uint8_t b[16];

        if (getrandom(b, sizeof(b), 0) != sizeof(b))
                return -EIO;
        b[6] = (b[6] & 0x0f) | 0x40; /* version 4, variant 1: RFC 9562 */
        b[8] = (b[8] & 0x3f) | 0x80;
        return string_printf(ret, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int pick_storage(const Settings *settings, const StorageDriver **ret, Problem *reterr_problem) {
        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (root_fd < 0)
                return problem_set(reterr_problem, -errno, "Cannot open root_dir '%s': %m", settings->root_dir);
        const StorageDriver *driver = storage_pick(settings->storage, root_fd);
        if (!driver)
                return problem_set(reterr_problem, -EINVAL, "There is no storage driver '%s'", settings->storage);
        *ret = storage_limited(driver, settings->disk_max, root_fd);
        if (*ret == driver || (*ret)->suits(root_fd))
                return 0;
        return problem_set(reterr_problem, -ENOPKG, "disk_max needs " DISK_NEEDS);
}

int plan_take_image(MachineRequest *request, const Image *image, Generation **ret_known) {
        int r = generation_load_of(image, ret_known);
        if (r < 0)
                return r;
        request->image = image->title;
        request->tree_path = image->current_path;
        request->tree_fd = image->fd;
        request->generation = image->generation;
        request->environment = (*ret_known)->config.env;
        request->user = (*ret_known)->config.user;
        request->working_dir = (*ret_known)->config.working_dir;
        return 0;
}

static int copy_lists(const MachineRequest *request, Machine *machine) {
        const struct {
                char *const *from;
                char ***to;
        } lists[] = {
                { request->environment, &machine->environment },
                { request->names, &machine->names },
                { request->command, &machine->command },
                { request->directories, &machine->directories },
                { request->ports, &machine->ports },
        };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                int r = lists[i].from ? strv_copy(lists[i].from, lists[i].to) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int copy_strings(const MachineRequest *request, const char *init, Machine *machine) {
        const Settings *settings = request->settings;

        if (string_replace(&machine->id, request->id) < 0 ||
            machine_name(settings->runtime_dir, request->id, &machine->name) < 0 ||
            machine_directory_path(settings->runtime_dir, request->id, &machine->directory) < 0 ||
            string_printf(&machine->layer, "%s/" LAYERS_DIRECTORY "/%s", settings->root_dir, machine->name) < 0 ||
            string_replace(&machine->image, request->image) < 0 ||
            string_replace(&machine->image_path, request->tree_path) < 0 ||
            string_replace(&machine->supervisor, supervisor_pick()->name) < 0 ||
            string_replace(&machine->init, init) < 0 || string_replace(&machine->hostname, request->hostname) < 0 ||
            string_replace(&machine->boot_target, request->boot_target) < 0 ||
            string_replace(&machine->user, request->user) < 0 ||
            string_replace(&machine->working_dir, request->working_dir) < 0)
                return -ENOMEM;
        (void) file_handle_text(request->tree_fd, &machine->image_handle); /* without it, the path has to do */
        return copy_lists(request, machine);
}

/* The settings as they are for this machine on this host. */
static int take_settings(const MachineRequest *request, const StorageDriver *storage, Settings *ret) {
        int r = settings_copy_machine(request->settings, ret);
        if (r < 0)
                return r;
        settings_resolve(ret);
        if (request->in_place) {
                ret->network = ret->maintenance_network;
                ret->disk_max = UINT64_MAX;
                setting_clear(ret, setting_find("bind"));
                setting_clear(ret, setting_find("bind_ro"));
        }
        return string_replace(&ret->storage, storage->name);
}

static void copy_numbers(const MachineRequest *request, Machine *machine) {
        machine->generation = request->generation;
        machine->interactive = request->interactive;
        machine->lazy = machine->init && !request->eager && request->settings->boot != BOOT_EAGER;
        machine->runtime_max_usec = request->runtime_max_usec;
        machine->since_usec = clock_realtime_usec();
        machine->owner_pid = machine->owner_start = machine->network_number = UINT64_MAX;
}

/* Finds what the host contributes: storage driver, supervisor, agent and library. */
static int find_parts(const MachineRequest *request, Machine *machine, Problem *reterr_problem) {
        const StorageDriver *storage = &storage_tree;

        int r = request->in_place ? 0 : pick_storage(request->settings, &storage, reterr_problem);
        if (r < 0)
                return r;
        r = take_settings(request, storage, &machine->settings);
        if (r < 0)
                return r;
        machine->needs_loop = storage->needs_loop;
        r = part_find_agent(&machine->agent_path);
        if (r == -ENOENT)
                return problem_set(reterr_problem, PLAN_NO_AGENT,
                                   PART_AGENT " is not installed: it must be beside nspawn-runner or in " LIBEXECDIR);
        if (r < 0)
                return r;
        r = part_find_preload(&machine->preload);
        return r == -ENOENT ? 0 : r; /* doctor tells */
}

static int choose_init(const MachineRequest *request, const char **ret) {
        const BootMode boot = request->interactive ? BOOT_NO : request->settings->boot;

        int r = image_boot(request->tree_fd, boot, ret);
        return r == -ENOEXEC ? PLAN_NO_SYSTEMD : r;
}

static int fill_in(const MachineRequest *request, Machine *machine, Problem *reterr_problem) {
        const char *init = NULL;

        int r = choose_init(request, &init);
        if (r == PLAN_NO_SYSTEMD)
                return problem_set(reterr_problem, r,
                                   "Image '%s' has no systemd to boot, but its definition or the configuration says "
                                   "'boot: %s'",
                                   request->image, request->settings->boot == BOOT_EAGER ? "eager" : "yes");
        if (r < 0)
                return r;
        r = copy_strings(request, init, machine);
        if (r < 0)
                return r;
        r = find_parts(request, machine, reterr_problem);
        if (r != 0)
                return r;
        r = random_uuid(&machine->uuid);
        if (r < 0)
                return r;
        copy_numbers(request, machine);
        if (request->owned) {
                const pid_t owner = request->owner > 0 ? request->owner : getpid();

                machine->owner_pid = (uint64_t) owner;
                machine->owner_start = request->owner_start;
                r = request->owner_start > 0 ? 0 : process_start_time(owner, &machine->owner_start);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Says that the container cannot be planned, unless the reason was filled in already. */
static int fail(int error, Problem *reterr_problem) {
        return reterr_problem->text[0] ? error : problem_set(reterr_problem, error, "Cannot plan the container: %m");
}

int plan_machine(const MachineRequest *request, Machine **ret, Problem *reterr_problem) {
        _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));

        int r = machine ? fill_in(request, machine, reterr_problem) : -ENOMEM;
        if (r != 0)
                return fail(r, reterr_problem);
        *ret = TAKE_PTR(machine);
        return 0;
}

static bool allows(const Settings *settings, const char *call) {
        for (char **item = settings->system_call_filter; item && *item; item++)
                if (streq(*item, call) || streq(*item, "@network-io"))
                        return true;
        return false;
}

/* 32-bit x86 images need a call that nothing can look into (container/socket-filter.h). */
#if defined(__x86_64__)
#define MULTIPLEXED_CALL "socketcall"

/* 1, 0 or -errno. */
static int needs_multiplexed_call(const MachineRequest *request) {
        if (!request->settings->seccomp || allows(request->settings, MULTIPLEXED_CALL))
                return 0;
        return image_is_i386(request->tree_fd);
}
#else
#define MULTIPLEXED_CALL NULL

static int needs_multiplexed_call(_unused_ const MachineRequest *request) {
        return 0;
}
#endif

bool plan_lacks_sockets(const MachineRequest *request) {
        return image_reference_is(request->image) && needs_multiplexed_call(request) > 0;
}

static int seccomp(const MachineRequest *request, Machine *machine, Problem *reterr_problem) {
        const Settings *settings = request->settings;
        _cleanup_free_ char *directory = NULL;
        _cleanup_strv_ char **allow = NULL;

        int r = string_printf(&directory, "%s/seccomp", settings->runtime_dir);
        if (r < 0)
                return r;
        r = strv_copy(settings->system_call_filter, &allow);
        if (r < 0)
                return r;
        int needed = image_reference_is(request->image) ? 0 : needs_multiplexed_call(request);
        if (needed < 0)
                return needed;
        if (needed > 0) {
                r = strv_extend(&allow, MULTIPLEXED_CALL);
                if (r < 0)
                        return r;
        }
        return seccomp_filter_prepare(directory, allow, &machine->seccomp_filter, reterr_problem);
}

int plan_seccomp(const MachineRequest *request, Machine *machine, Problem *reterr_problem) {
        int r = request->settings->seccomp ? seccomp(request, machine, reterr_problem) : 0;

        if (r == SECCOMP_NOT_INSTALLED)
                return PLAN_NO_SECCOMP;
        return r < 0 ? fail(r, reterr_problem) : 0;
}

int plan_supervise_command(const Settings *settings, const char *id, char ***ret) {
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *self = NULL, *directory = NULL, *state = NULL;

        int r = own_executable(&self, &directory);
        if (r < 0)
                return r;
        r = strv_extend(&argv, self);
        if (r < 0)
                return r;
        if (log_get_level() >= LOG_LEVEL_DEBUG && strv_extend(&argv, "--debug") < 0)
                return -ENOMEM;
        r = machine_directory_path(settings->runtime_dir, id, &state);
        if (r < 0)
                return r;
        r = strv_extend_many(&argv, "supervise", state);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}
