/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/plan.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "container/seccomp.h"
#include "container/supervisor.h"
#include "image/generation.h"
#include "preload/userns-owner.h"
#include "storage/storage.h"

/* GitLab Runner ends a job at its timeout, and then has 10 minutes to do so before it gives up
 * (graceful_kill_timeout); what outlives that has no runner any more. */
#define RUNTIME_MARGIN_SEC UINT64_C(1200)

#define AGENT_NAME "nspawn-runner-agent"

ImageChoice plan_choose_image(const Settings *settings, const JobSpec *job, const char *forced, const char *fallback) {
        if (forced)
                return (ImageChoice){ forced, IMAGE_FORCED };
        if (!isempty(job->image.name))
                return (ImageChoice){ job->image.name, IMAGE_OF_JOB };
        return (ImageChoice){ fallback ? fallback : settings->default_image, IMAGE_DEFAULT };
}

/* A registry chooses what its tags stand for, and whoever may push there chooses what digests it has: a digest makes any
 * tag beside it meaningless. So a pattern that does not mention '@' stands for a digest only if it allows every tag of
 * that repository: it ends with '*', and fits the name without its tag. @name is a reference with a digest. */
static bool allows_each_tag(const char *glob, const char *name) {
        char repository[FILENAME_MAX];
        size_t n = image_reference_repository_length(name);

        if (strchr(glob, '@') || !endswith(glob, "*") || n >= sizeof(repository))
                return false;
        snprintf(repository, sizeof(repository), "%.*s", (int) n, name);
        return fnmatch(glob, repository, 0) == 0;
}

/* The registry is compared by itself: no '*' for a part of its name, or of that of an image of this host, may also stand
 * for what follows in the name of a registry that the job chose. */
static bool image_matches(const char *glob, const char *name) {
        size_t glob_length = strcspn(glob, "/"), name_length = strcspn(name, "/");
        char glob_registry[FILENAME_MAX], name_registry[FILENAME_MAX];

        if (!glob[glob_length] != !name[name_length] || glob_length >= sizeof(glob_registry) ||
            name_length >= sizeof(name_registry))
                return false;
        snprintf(glob_registry, sizeof(glob_registry), "%.*s", (int) glob_length, glob);
        snprintf(name_registry, sizeof(name_registry), "%.*s", (int) name_length, name);
        if (fnmatch(glob_registry, name_registry, 0) != 0 || fnmatch(glob + glob_length, name + name_length, 0) != 0)
                return false;
        /* Behind the '@' of an image of this host is a generation. */
        return !name[name_length] || !strchr(name, '@') || strchr(glob, '@') || allows_each_tag(glob, name);
}

bool plan_image_allowed(const Settings *settings, const ImageChoice *choice) {
        if (choice->source != IMAGE_OF_JOB || strv_length(settings->allowed_images) == 0)
                return true;
        for (char **glob = settings->allowed_images; *glob; glob++)
                if (image_matches(*glob, choice->name))
                        return true;
        return false;
}

bool plan_host_root_allowed(const Settings *settings, ImageSource source, const char *name) {
        if (source != IMAGE_OF_JOB)
                return true;
        for (char **entry = settings->allowed_images; entry && *entry; entry++)
                if (streq(*entry, name))
                        return true;
        return false;
}

/* What belongs to the program: beside it, or where it is installed. -ENOENT: in neither place. */
static int find_part(const char *name, int mode, char **ret) {
        _cleanup_free_ char *self = NULL, *directory = NULL, *beside = NULL, *installed = NULL;

        int r = own_executable(&self, &directory);
        if (r >= 0)
                r = string_printf(&beside, "%s/%s", directory, name);
        if (r >= 0)
                r = string_printf(&installed, LIBEXECDIR "/%s", name);
        if (r < 0)
                return r;
        if (access(beside, mode) >= 0)
                *ret = TAKE_PTR(beside);
        else if (access(installed, mode) >= 0)
                *ret = TAKE_PTR(installed);
        else
                return -ENOENT;
        return 0;
}

int plan_find_agent(char **ret) {
        int r = find_part(AGENT_NAME, X_OK, ret);
        return r == -ENOENT ? -EPROTO : r;
}

int plan_find_preload(char **ret) {
        _cleanup_free_ char *path = NULL;

        int r = find_part(USERNS_OWNER_LIBRARY, R_OK, &path);
        if (r == 0 && strpbrk(path, ": ")) /* these separate paths in LD_PRELOAD */
                r = -ENOENT;
        if (r == 0)
                *ret = TAKE_PTR(path);
        return r;
}

static int random_uuid(char **ret) {
        uint8_t b[16];

        if (getrandom(b, sizeof(b), 0) != sizeof(b))
                return -EIO;
        b[6] = (b[6] & 0x0f) | 0x40; /* version 4, variant 1: RFC 9562 */
        b[8] = (b[8] & 0x3f) | 0x80;
        return string_printf(ret, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int pick_storage(const Settings *settings, const StorageDriver **ret) {
        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (root_fd < 0)
                return -errno;
        *ret = storage_pick(settings->storage, root_fd);
        return *ret ? 0 : -ENOSYS;
}

static int copy_strings(const Settings *settings, const JobSpec *job, const JobDirectory *directory, const Image *image,
                        const char *init, Machine *machine) {
        if (string_replace(&machine->id, job->id) < 0 ||
            machine_name(settings->runtime_dir, job->id, &machine->name) < 0 ||
            string_replace(&machine->directory, directory->path) < 0 ||
            string_printf(&machine->layer, "%s/.layers/%s", settings->root_dir, machine->name) < 0 ||
            string_replace(&machine->image, image->title) < 0 ||
            string_replace(&machine->image_path, image->current_path) < 0 ||
            string_replace(&machine->supervisor, supervisor_pick()->name) < 0 ||
            string_replace(&machine->init, init) < 0 || string_replace(&machine->shell, settings->shell) < 0 ||
            strv_copy(settings->bind, &machine->bind) < 0 || strv_copy(settings->bind_ro, &machine->bind_ro) < 0)
                return -ENOMEM;
        return 0;
}

/* What steps have from the image's own configuration, where it has one. */
static int copy_configuration(const Image *image, Machine *machine) {
        _cleanup_generation_ Generation *known = NULL;

        int r = generation_load_of(image, &known);
        if (r >= 0)
                r = strv_copy(known->env, &machine->environment);
        if (r >= 0)
                r = string_replace(&machine->user, known->user);
        if (r >= 0)
                r = string_replace(&machine->working_dir, known->working_dir);
        return r;
}

int plan_machine(const Settings *settings, const JobSpec *job, const JobDirectory *directory, const Image *image,
                 Machine **ret) {
        _cleanup_machine_ Machine *machine = calloc(1, sizeof(Machine));
        const StorageDriver *storage = NULL;
        const char *init = NULL;

        if (!machine)
                return -ENOMEM;
        int r = image_boot(image, settings->boot, &init);
        if (r >= 0)
                r = pick_storage(settings, &storage);
        if (r >= 0)
                r = copy_strings(settings, job, directory, image, init, machine);
        if (r >= 0)
                r = string_replace(&machine->storage, storage->name);
        if (r >= 0)
                r = plan_find_agent(&machine->agent_path);
        if (r >= 0 && (r = plan_find_preload(&machine->preload)) == -ENOENT)
                r = 0; /* doctor tells */
        if (r >= 0)
                r = random_uuid(&machine->uuid);
        if (r >= 0)
                r = copy_configuration(image, machine);
        if (r < 0)
                return r;

        uint64_t timeout_sec = job->timeout_sec;
        machine->generation = image->generation;
        machine->private_users = settings->private_users;
        machine->uid_range = settings->uid_range;
        machine->network = settings->network;
        machine->tmpfs_size_bytes = memory_size_bytes(settings->tmpfs_size);
        machine->cpu_weight = settings->cpu_weight;
        machine->memory_high_bytes = memory_size_bytes(settings->memory_high);
        machine->memory_max_bytes = memory_size_bytes(settings->memory_max);
        machine->tasks_max = settings->tasks_max;
        machine->kill_timeout_usec = settings->kill_timeout_usec;
        machine->runtime_max_usec = timeout_sec > 0 && timeout_sec < UINT32_MAX ?
                                            (timeout_sec + RUNTIME_MARGIN_SEC) * USEC_PER_SEC :
                                            USEC_INFINITY;
        machine->since_usec = clock_realtime_usec();
        machine->owner_pid = machine->owner_start = UINT64_MAX;
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

static bool needs_multiplexed_call(const Settings *settings, const Image *image) {
        return settings->seccomp && !allows(settings, MULTIPLEXED_CALL) && image_is_i386(image);
}
#else
#define MULTIPLEXED_CALL NULL

static bool needs_multiplexed_call(_unused_ const Settings *settings, _unused_ const Image *image) {
        return false;
}
#endif

bool plan_lacks_sockets(const Settings *settings, const Image *image) {
        return image_reference_is(image->title) && needs_multiplexed_call(settings, image);
}

int plan_seccomp(const Settings *settings, const Image *image, Machine *machine, const char **ret_unknown) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_strv_ char **allow = NULL;

        *ret_unknown = NULL;
        if (!settings->seccomp)
                return 0;
        int r = string_printf(&directory, "%s/seccomp", settings->runtime_dir);
        if (r >= 0)
                r = strv_copy(settings->system_call_filter, &allow);
        if (r >= 0 && !image_reference_is(image->title) && needs_multiplexed_call(settings, image))
                r = strv_extend(&allow, MULTIPLEXED_CALL);
        if (r < 0)
                return r;
        r = seccomp_filter_prepare(directory, allow, &machine->seccomp_filter, ret_unknown);
        /* To the same word in the settings, which live longer. */
        for (size_t i = 0; *ret_unknown && allow[i]; i++)
                if (*ret_unknown == allow[i]) {
                        *ret_unknown = settings->system_call_filter[i];
                        break;
                }
        return r;
}

int plan_supervise_command(const Settings *settings, const char *id, char ***ret) {
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *self = NULL, *directory = NULL;

        int r = own_executable(&self, &directory);
        if (r >= 0)
                r = strv_extend(&argv, self);
        if (r >= 0 && log_get_level() >= LOG_LEVEL_DEBUG)
                r = strv_extend(&argv, "--debug");
        if (r >= 0)
                r = strv_extend(&argv, "supervise");
        if (r >= 0)
                r = strv_extendf(&argv, "%s/jobs/%s", settings->runtime_dir, id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(argv);
        return 0;
}
