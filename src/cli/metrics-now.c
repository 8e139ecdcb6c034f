/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the command `metrics` says of the present: jobs, images and room in use. Called every few seconds on some hosts,
 * so it reads what was written down before, and measures nothing unless it is told to. Only looks. What cannot be read must
 * not keep the rest from being told: who watches the host needs it most then. */

#include "cli/metrics-now.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/disk-usage.h"
#include "cli/image-common.h"
#include "image/generation.h"
#include "machine/collect.h"
#include "machine/metrics-text.h"
#include "maintain/image-roots.h"
#include "maintain/space.h"
#include "store/store.h"

/* Says what could not be read; its samples are left out. 0 to go on, or -ENOMEM. */
static int leave_out(const char *what, const char *directory, int error) {
        if (error == -ENOMEM)
                return error;
        (void) log_warning_errno(error, "Left out of the metrics, because it cannot be read: %s in '%s': %m", what,
                                 directory);
        return 0;
}

/* --- containers --- */

static int write_containers(FILE *f, const Settings *settings) {
        static const char *const kinds[] = { "job", "service" };
        size_t n[ELEMENTSOF(kinds)][MACHINE_GONE + 1] = { 0 };
        _cleanup_strv_ char **ids = NULL;

        int r = machine_list(settings, false, &ids);
        if (r < 0)
                return leave_out("containers", settings->runtime_dir, r);
        for (char **id = ids; id && *id; id++)
                n[id_service_number(*id, NULL) > 0][machine_state(settings, *id)]++;
        metrics_heading(f, METRICS_OPEN, "nspawn_runner_containers", "gauge", NULL,
                        "Containers of jobs and of their services that exist now.");
        for (size_t kind = 0; kind < ELEMENTSOF(kinds); kind++)
                for (MachineState state = 0; state < MACHINE_GONE; state++)
                        fprintf(f, "nspawn_runner_containers{kind=\"%s\",state=\"%s\"} %zu\n", kinds[kind],
                                machine_state_name(state), n[kind][state]);
        return 0;
}

/* --- images --- */

typedef struct ImageFacts {
        char label[METRICS_ESCAPED_MAX];
        uint64_t created_usec, updated_usec; /* 0: not known */
        uint64_t number;
        size_t generations;
} ImageFacts;

/* 1; 0: it is gone, no image, or was left out; or -ENOMEM. */
static int look_at_image(const char *root_dir, const char *name, ImageFacts *ret) {
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_free_ uint64_t *old = NULL;
        _cleanup_image_ Image *image = NULL;
        size_t n_old = 0;

        if (image_open(root_dir, name, &image) < 0)
                return 0;
        int r = generation_list_old(root_dir, name, &old, &n_old);
        if (r < 0)
                return leave_out(name, root_dir, r);
        *ret = (ImageFacts){ .number = image->generation, .generations = n_old + 1 };
        metrics_escape(name, ret->label);
        if (generation_load_of(image, &known) >= 0) {
                ret->created_usec = known->created_usec;
                ret->updated_usec = known->updated_usec;
        }
        return 1;
}

static void write_times(FILE *f, const ImageFacts *images, size_t n, bool updated) {
        const char *name = updated ? "nspawn_runner_image_updated_timestamp_seconds" :
                                     "nspawn_runner_image_created_timestamp_seconds";

        metrics_heading(f, METRICS_OPEN, name, "gauge", "seconds",
                        updated ? "When the image's current generation was made." :
                                  "When the image was made from its source.");
        for (size_t i = 0; i < n; i++) {
                uint64_t usec = updated ? images[i].updated_usec : images[i].created_usec;

                if (usec > 0)
                        fprintf(f, "%s{image=\"%s\"} %" PRIu64 ".%03" PRIu64 "\n", name, images[i].label,
                                usec / USEC_PER_SEC, usec % USEC_PER_SEC / USEC_PER_MSEC);
        }
}

static int write_images(FILE *f, const Settings *settings) {
        _cleanup_strv_ char **names = NULL;
        size_t n = 0;

        int r = list_images(settings->root_dir, &names);
        if (r < 0)
                return leave_out("images", settings->root_dir, r);
        _cleanup_free_ ImageFacts *images = calloc(strv_length(names) + 1, sizeof(*images));
        if (!images)
                return -ENOMEM;
        for (char **name = names; name && *name; name++) {
                r = look_at_image(settings->root_dir, *name, images + n);
                if (r < 0)
                        return r;
                n += (size_t) r;
        }
        write_times(f, images, n, false);
        write_times(f, images, n, true);
        metrics_heading(f, METRICS_OPEN, "nspawn_runner_image_generation_number", "gauge", NULL,
                        "Number of the image's current generation.");
        for (size_t i = 0; i < n; i++)
                fprintf(f, "nspawn_runner_image_generation_number{image=\"%s\"} %" PRIu64 "\n", images[i].label,
                        images[i].number);
        metrics_heading(f, METRICS_OPEN, "nspawn_runner_image_generations", "gauge", NULL,
                        "How many generations there are of the image, the current one included.");
        for (size_t i = 0; i < n; i++)
                fprintf(f, "nspawn_runner_image_generations{image=\"%s\"} %zu\n", images[i].label,
                        images[i].generations);
        return 0;
}

/* --- room --- */

/* The kinds of which sizes are written down; the others have to be measured. */
enum { N_RECORDED = DISK_USAGE_WORKING_COPIES + 1 };

typedef struct Room {
        uint64_t bytes[DISK_USAGE_KINDS], total;
        bool lacks[DISK_USAGE_KINDS]; /* some of it could not be read */
} Room;

static int add_measured(DiskUsageKind kind, const char *name _unused_, const UsageOfTree *tree, void *userdata) {
        Room *room = userdata;

        room->bytes[kind] += tree ? tree->bytes : 0;
        room->lacks[kind] = room->lacks[kind] || !tree;
        return 0;
}

static int add_places(const char *root_dir, const PlaceKind *kind, uint64_t *bytes) {
        _cleanup_strv_ char **names = NULL;

        int r = place_list(root_dir, kind, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_place_ Place place = PLACE_NONE;

                if (place_open(root_dir, kind, *name, &place) >= 0)
                        *bytes += place_size(&place).bytes;
        }
        return 0;
}

static int add_registry_images(const char *root_dir, uint64_t *bytes) {
        _cleanup_strv_ char **names = NULL, **broken = NULL;
        _cleanup_free_ char *root = NULL;

        int r = image_root_path(root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        r = image_list(root, &names, &broken);
        if (r < 0 || broken)
                return r < 0 ? r : -EIO;
        for (char **name = names; name && *name; name++) {
                _cleanup_generation_ Generation *known = NULL;
                _cleanup_image_ Image *image = NULL;

                if (image_open(root, *name, &image) >= 0 && generation_load_of(image, &known) >= 0)
                        *bytes += known->size_bytes;
        }
        return 0;
}

static int add_recorded(const char *root_dir, Room *room) {
        const int results[N_RECORDED] = {
                [DISK_USAGE_REGISTRY_IMAGES] = add_registry_images(root_dir, room->bytes + DISK_USAGE_REGISTRY_IMAGES),
                [DISK_USAGE_CACHES] = add_places(root_dir, &place_caches, room->bytes + DISK_USAGE_CACHES),
                [DISK_USAGE_WORKING_COPIES] = add_places(root_dir, &place_builds,
                                                         room->bytes + DISK_USAGE_WORKING_COPIES),
        };

        for (size_t i = 0; i < N_RECORDED; i++) {
                room->lacks[i] = results[i] < 0;
                if (results[i] < 0 && leave_out(disk_usage_names[i].label, root_dir, results[i]) < 0)
                        return results[i];
        }
        return 0;
}

static void write_bytes(FILE *f, const char *name, uint64_t bytes, const char *help) {
        metrics_heading(f, METRICS_OPEN, name, "gauge", "bytes", help);
        fprintf(f, "%s %" PRIu64 "\n", name, bytes);
}

static int write_space(FILE *f, const Settings *settings) {
        Space space;

        int r = space_look(settings, &space);
        if (r < 0)
                return r == -ENOENT ? 0 : leave_out("file system", settings->root_dir, r);
        write_bytes(f, "nspawn_runner_file_system_size_bytes", space.now.total_bytes,
                    "Size of the file system of root_dir.");
        write_bytes(f, "nspawn_runner_file_system_free_bytes", space.now.free_bytes,
                    "What is free on the file system of root_dir.");
        write_bytes(f, "nspawn_runner_file_system_reserve_bytes", space.reserve_bytes,
                    "What has to be free there when a job starts (disk_reserve).");
        return 0;
}

static int write_room(FILE *f, const Settings *settings, bool measure) {
        Room room = { 0 };

        int r = measure ? disk_usage_measure(settings->root_dir, add_measured, &room, &room.total) :
                          add_recorded(settings->root_dir, &room);
        if (r < 0)
                return r;
        metrics_heading(f, METRICS_OPEN, "nspawn_runner_disk_bytes", "gauge", "bytes",
                        "What is in use below root_dir; data that several trees share counts in each.");
        for (size_t i = 0; i < (size_t) (measure ? DISK_USAGE_KINDS : N_RECORDED); i++)
                if (!room.lacks[i])
                        fprintf(f, "nspawn_runner_disk_bytes{kind=\"%s\"} %" PRIu64 "\n", disk_usage_names[i].label,
                                room.bytes[i]);
        if (measure && r != DISK_USAGE_LACKS)
                write_bytes(f, "nspawn_runner_disk_all_bytes", room.total,
                            "All that is in use below root_dir, shared data counted once.");
        return write_space(f, settings);
}

int metrics_now_write(FILE *f, const Settings *settings, bool measure) {
        metrics_heading(f, METRICS_OPEN, "nspawn_runner_build_info", "gauge", NULL, "The version of nspawn-runner.");
        fprintf(f, "nspawn_runner_build_info{version=\"" VERSION "\"} 1\n");
        int r = write_containers(f, settings);
        if (r < 0)
                return r;
        r = write_images(f, settings);
        return r < 0 ? r : write_room(f, settings, measure);
}
