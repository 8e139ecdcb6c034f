/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `prepare`: GitLab Runner calls it to start the container of a job. It ends when the agent answers, and
 * leaves nothing when it fails. Whatever is wrong because of the job is a build failure; all else is a system
 * failure, after which GitLab Runner tries again. */

#include <inttypes.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/choose-image.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/job-common.h"
#include "cli/report.h"
#include "cli/service-work.h"
#include "cli/stage-programs.h"
#include "cli/start-common.h"
#include "container/cgroup-warm.h"
#include "container/cgroup.h"
#include "container/nspawn.h"
#include "container/slice.h"
#include "container/supervisor.h"
#include "gitlab/exit-status.h"
#include "gitlab/service-variables.h"
#include "image/generation.h"
#include "job/describe.h"
#include "job/volumes.h"
#include "local/broker-client.h"
#include "machine/collect.h"
#include "machine/plan.h"
#include "machine/remove.h"
#include "machine/services.h"
#include "machine/start.h"
#include "maintain/named-image.h"
#include "maintain/space.h"
#include "network/nat.h"
#include "storage/disk.h"
#include "terminal/table.h"

/* How long to wait for the directory's lock: commands that look at jobs, such as `status`, hold it for a moment. */
#define DIRECTORY_TIMEOUT_USEC (2 * USEC_PER_SEC)
/* Of USER:GROUP; names are shorter than 33 bytes each in most systems. */
#define USER_LENGTH_MAX 256

/* For --verbose and --debug. */
static void log_plan(const Machine *machine, const Image *image, char *const *argv) {
        log_verbose("Image '%s' is '%s', generation %" PRIu64, image->title, image->current_path, image->generation);
        log_verbose("What the job changes goes to '%s'; its state is in '%s'", machine->layer, machine->directory);
        log_verbose("Users of the job's own: %s; system call filter: %s; supervisor: %s",
                    machine->settings.private_users ? "yes" : "no",
                    machine->seccomp_filter ? machine->seccomp_filter : "none", machine->supervisor);
        for (; *argv; argv++)
                log_debug("Its command line: %s", *argv);
}

/* Says once for each job which limits this host cannot enforce: whoever wrote the job may rely on them. */
static void warn_of_missing_limits(const Machine *machine) {
        _cleanup_cgroup_set_ CgroupSet groups = { 0 };

        if (supervisor_pick()->groups(machine->name, &groups) < 0)
                return;
        const CgroupLimits own = machine_limits(machine), all = slice_limits(machine);
        unsigned limited = cgroup_limited(&groups);
        bool all_memory = MIN(all.memory_max_bytes, all.memory_high_bytes) != UINT64_MAX;
        bool all_tasks = all.tasks_max != UINT64_MAX;
        bool memory = (MIN(own.memory_max_bytes, own.memory_high_bytes) != UINT64_MAX || all_memory) &&
                      !(limited & CGROUP_MEMORY);
        bool tasks = (own.tasks_max != UINT64_MAX || all_tasks) && !(limited & CGROUP_PIDS);
        bool cpu = !(limited & CGROUP_CPU);
        if (memory || tasks || cpu)
                log_warning("Not limited on this host, because cgroup controllers are missing: %s%s%s%s%s%s%s",
                            memory ? "memory (memory_max, memory_high" : "",
                            memory ? all_memory ? ", job_memory_max, job_memory_high)" : ")" : "",
                            memory && (tasks || cpu) ? "; " : "", tasks ? "processes (tasks_max" : "",
                            tasks ? all_tasks ? ", job_tasks_max)" : ")" : "", tasks && cpu ? "; " : "",
                            cpu ? "CPU (cpu_weight)" : "");
}

/* Fills in the request, without what depends on the image, which plan_take_image() adds. */
static void request_of_job(const Settings *settings, const JobSpec *job, MachineRequest *request) {
        request->settings = settings;
        request->id = job->id;
        request->runtime_max_usec = job_spec_runtime_max_usec(job);
        const uint64_t keep_usec = keep_failed_usec(settings);
        if (request->runtime_max_usec < USEC_INFINITY - keep_usec)
                request->runtime_max_usec += keep_usec;
}

/* As Docker does, the job may choose the user of its steps. */
static int take_user(const JobSpec *job, MachineRequest *request) {
        if (isempty(job->image.user))
                return 0;
        if (strlen(job->image.user) > USER_LENGTH_MAX) {
                log_error("'image:docker:user' of the job is longer than %d bytes", USER_LENGTH_MAX);
                return STAGE_BUILD_FAILURE;
        }
        request->user = job->image.user;
        return 0;
}

/* Starts the job's container, and its services as soon as that has begun. */
static int start_machine(const Settings *settings, const Machine *machine, const MachineDirectory *directory,
                         char *const *argv, const Image *image, JobServices *services, int signal_fd) {
        _cleanup_machine_starting_ MachineStarting starting = MACHINE_STARTING_NONE;
        uint64_t begin_usec = clock_now_usec();
        Problem problem = { 0 };

        int r = machine_start_begin(machine, directory, argv, image->fd, &starting, &problem);
        if (r == 0) {
                services_go_logged(services);
                r = machine_start_wait(machine, &starting, settings->start_timeout_usec, signal_fd, &problem);
        }
        if (r != 0)
                return failed_start_logged(machine, directory, r, &problem);
        log_verbose("Its agent answered after %" PRIu64 " ms", (clock_now_usec() - begin_usec) / USEC_PER_MSEC);
        warn_of_missing_limits(machine);
        return services_wait_logged(services, &starting, signal_fd);
}

/* Says, once after the host's boot, that forwarding will be switched on. */
static void announce_forwarding(const Machine *machine) {
        if (machine->settings.network == NETWORK_PRIVATE && machine->settings.network_backend != WAY_OUT_PASTA &&
            nat_forwarding_missing())
                log_notice("Switching on %s for the network of jobs", nat_forwarding_missing());
}

static void log_volumes(const Settings *settings, const JobVolumes *volumes) {
        if (volumes->no_owner && !getenv(LOCAL_OWNER_VARIABLE)) /* `exec` has caches of its own */
                log_notice("GitLab Runner did not say which project this job belongs to (JOB_RESPONSE_FILE, "
                           "GitLab Runner 14.1 or newer): this job's cache and working copy start empty and are "
                           "removed at its end");
        if (volumes->in_the_way)
                log_verbose("'%s' is mounted where a cache or working copy would be", volumes->in_the_way);
        if (volumes->builds_error < 0)
                log_warning("This job's working copy is not kept for later jobs: cannot make one in '%s/%s': %s",
                            settings->root_dir, place_builds.directory, strerror(-volumes->builds_error));
        if (volumes->builds_replaced)
                log_notice("The working copy that an earlier job left could not be cleaned: this job gets a new one");
        if (volumes->cache_error < 0)
                log_warning("This job has no cache of earlier jobs, and its own is removed at its end: cannot use "
                            "'%s/%s': %s",
                            settings->root_dir, place_caches.directory, strerror(-volumes->cache_error));
        for (char **name = volumes->removed; name && *name; name++)
                log_verbose("Removed %s, to make room", *name);
        if (volumes->room_error < 0)
                log_warning("Cannot make room in '%s/%s': %s", settings->root_dir, volumes->room_kind->directory,
                            strerror(-volumes->room_error));
        if (volumes->cache.path)
                log_verbose("'%s' is '%s' on the host", settings->cache_dir, volumes->cache.path);
        if (volumes->builds.path)
                log_verbose("'%s' is '%s' on the host", settings->builds_dir, volumes->builds.path);
}

static int take_volumes(const Settings *settings, const JobSpec *job, Machine *machine, JobVolumes *ret) {
        int r = job_volumes_take(settings, job, machine, ret);
        if (r < 0 || string_replace(&machine->builds_dir, settings->builds_dir) < 0)
                return log_oom();
        log_volumes(settings, ret);
        return 0;
}

static int start(MachineRequest *request, const JobSpec *job, const MachineDirectory *directory, const Image *image,
                 const char *default_image, JobServices *services, int signal_fd) {
        const Settings *settings = request->settings;
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_job_volumes_ JobVolumes volumes = JOB_VOLUMES_NONE;
        _cleanup_machine_ Machine *machine = NULL;
        _cleanup_image_ Image *helper = NULL; /* held until the supervisor holds it */
        _cleanup_strv_ char **argv = NULL;

        if (!nspawn_is_installed()) {
                log_error("systemd-nspawn is not installed: it is in package systemd-container");
                return -ENOENT;
        }
        int r = plan_take_image(request, image, &known);
        if (r < 0)
                return log_error_errno(r, "Cannot read the description of image '%s': %m", image->title);
        r = take_user(job, request);
        if (r != 0)
                return r;
        r = plan_logged(request, &machine, &argv);
        if (r != 0)
                return r;
        if (job_describe(job, machine) < 0)
                return log_oom();

        const StagePrograms programs = {
                .settings = settings,
                .image = image,
                .default_image = default_image,
                .signal_fd = signal_fd,
        };
        r = stage_programs_plan(&programs, machine, &helper);
        if (r < 0)
                return r;

        if (plan_lacks_sockets(request))
                log_warning("Image '%s' has programs of 32-bit x86. They have no network, because they cannot make "
                            "sockets here: the setting system_call_filter can allow that ('socketcall')",
                            image->title);
        log_notice("Starting container %s from image '%s' (storage %s, %s)", machine->name, image->title,
                   machine->settings.storage,
                   !machine->init ? "without an init system" :
                   machine->lazy  ? "its systemd starts on first use" :
                                    "booting its systemd");
        announce_forwarding(machine);
        log_plan(machine, image, argv);
        r = take_volumes(settings, job, machine, &volumes);
        if (r < 0)
                return r;
        r = job_services_plan(services, settings, machine);
        if (r == -ENOPKG)
                return log_error_errno(r, "disk_max needs " DISK_NEEDS " for what a job shares with its services");
        if (r < 0)
                return log_oom();
        return start_machine(settings, machine, directory, argv, image, services, signal_fd);
}

/* Takes the job's directory, new: whatever an earlier attempt left is removed. */
static int take_directory(const Settings *settings, const char *id, MachineDirectory *ret) {
        _cleanup_strv_ char **services = NULL;

        if (machine_exists(settings, id) || services_list(settings, id, &services) < 0 || services) {
                log_verbose("Removing what an earlier attempt left of job %s", id);
                int r = machine_remove(settings, id);
                if (r < 0)
                        return log_error_errno(r, "Cannot remove what an earlier attempt left of job %s: %m", id);
        }
        int r = machine_directory_lock(settings->runtime_dir, id, true, DIRECTORY_TIMEOUT_USEC, ret);
        if (r == -EBUSY)
                log_error("Job %s is being prepared by another process: wait until that has ended, or end it with "
                          "'nspawn-runner cleanup --id %s'",
                          id, id);
        else if (r < 0)
                log_error_errno(r, "Cannot make the job's directory in '%s': %m", settings->runtime_dir);
        return r;
}

/* Warns of keywords that GitLab Runner's Docker executor supports and this driver does not. */
static void warn_of_ignored(const JobSpec *job) {
        /* An empty one only says that the image's is not wanted. */
        if (strv_length(job->image.entrypoint) > 0 && !isempty(job->image.entrypoint[0]))
                log_warning("This driver runs no entrypoints: 'image:entrypoint' of the job is ignored");
        if (!isempty(job->image.platform))
                log_warning(
                        "'image:docker:platform' of the job is ignored: images are fetched for this host's processor");
}

/* Makes room on the disk first: a job that starts on a full disk fails later, and so do others. */
static int make_space(const Settings *settings, const ImageChoice *choice, int signal_fd) {
        _cleanup_free_ char *reference = NULL;
        char have[16], all[16], wanted[16];
        Space space;

        int r = space_look(settings, &space);
        if (r > 0 || r == -ENOENT) /* a missing directory of images is reported later */
                return 0;
        /* Only now does it matter which image the job is about to use. */
        r = choice->name ? named_image_reference(settings, choice->name, &reference) : 0;
        if (r < 0)
                return log_oom();
        r = space_make(settings, reference, signal_fd, &space);
        if (r > 0)
                return 0;
        if (r == -ECANCELED) {
                log_error("Cancelled while room was being made on the disk");
                return r;
        }
        if (r < 0)
                return log_error_errno(r, "Cannot find out how much room is on the disk of '%s': %m",
                                       settings->root_dir);
        if (space.now.free_bytes < space.reserve_bytes)
                log_error(
                        "The disk of '%s' is nearly full: %s of %s are free, and disk_reserve keeps %s free. All that "
                        "this runner may remove is removed: remove images ('nspawn-runner chroot-list', "
                        "'chroot-remove') or other files, or use a larger disk",
                        settings->root_dir, format_bytes(space.now.free_bytes, have),
                        format_bytes(space.now.total_bytes, all), format_bytes(space.reserve_bytes, wanted));
        else
                log_error("The disk of '%s' has room for %" PRIu64 " of %" PRIu64 " files only, and disk_reserve keeps "
                          "room for %" PRIu64
                          ". All that this runner may remove is removed: remove images ('nspawn-runner chroot-list', "
                          "'chroot-remove') or other files",
                          settings->root_dir, space.now.free_files, space.now.total_files, space.reserve_files);
        return -ENOSPC;
}

/* With the host's network, all services would share the host's ports. */
static int refuse_services(const Image *image) {
        log_error("The job has services, but jobs of image '%s' have the host's network ('network: host' in the "
                  "configuration or in the image's definition): services need 'network: private' or 'network: none'",
                  image->title);
        return STAGE_BUILD_FAILURE;
}

static int fill_services(JobSpec *job) {
        if (job->n_services > ID_SERVICES_MAX)
                return 0; /* it gets none of them */
        int r = gitlab_fill_services(job);
        if (r == -E2BIG) {
                log_error("The variables of the services are too long");
                return STAGE_BUILD_FAILURE;
        }
        return r < 0 ? log_oom() : 0;
}

static int prepare(const Invocation *invocation) {
        const Settings *settings = invocation->settings, *image_settings = NULL;
        _cleanup_(settings_done) Settings storage = { 0 };
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_job_spec_ JobSpec job = { 0 };
        _cleanup_job_services_ JobServices services = JOB_SERVICES_NONE;
        _cleanup_image_ Image *image = NULL;
        MachineRequest request = MACHINE_REQUEST_NONE;

        uint64_t begin_usec = clock_now_usec();
        plan_note_owner(&request);
        /* From here on a signal ends the start, so that what is half started can be removed. */
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        if (supervisor_pick()->moves)
                cgroup_warm_behind();
        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        const char *fallback = invocation_option(invocation, "default-image");
        ImageChoice choice = image_choice_make(settings, &job, invocation_argument(invocation, 0), fallback);
        machine_collect_some(settings, signal_fd);
        r = make_space(settings, &choice, signal_fd);
        /* The services' images are fetched meanwhile. */
        if (r == 0)
                r = fill_services(&job);
        if (r == 0)
                r = services_begin_logged(settings, &job, &services);
        if (r == 0)
                r = choose_image(settings, &choice, signal_fd, &image);
        if (r == 0)
                r = settings_of_image_logged(settings, &choice, image, &storage, &image_settings);
        if (r == 0 && job_services_any(&services) && image_settings->network == NETWORK_HOST)
                r = refuse_services(image);
        if (r != 0)
                return r;

        warn_of_ignored(&job);
        r = take_directory(settings, job.id, &directory);
        if (r < 0)
                return r;
        request_of_job(image_settings, &job, &request);
        r = start(&request, &job, &directory, image, fallback ? fallback : settings->default_image, &services,
                  signal_fd);
        if (r != 0) {
                job_services_done(&services);
                int q = machine_remove_locked(settings, job.id);
                if (q < 0)
                        log_warning(
                                "Not everything of the failed start could be removed: 'nspawn-runner gc' will do it");
                return r;
        }
        report_step(settings, image_settings, &directory, REPORT_PREPARE, clock_now_usec() - begin_usec);
        return 0;
}

static int run(const Invocation *invocation) {
        int r = prepare(invocation);
        if (r != 0)
                report_failed_prepare(invocation->settings, r);
        return r;
}

static const CommandOption options[] = {
        { "default-image", "IMAGE", "image of jobs that name none", 0 },
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

const Command command_prepare = {
        .name = "prepare",
        .synopsis = "[IMAGE]",
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STAGE | COMMAND_ROOT,
        .run = run,
        .help = "Start the container of a job",
};
