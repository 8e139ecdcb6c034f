/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What words of a command line can become: images, jobs and so on that there are on this host, for complete.c. Reads as the
 * person who types may read, often without root: what cannot be read is not offered. */

#include "cli/complete.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/string.h"
#include "definition/definition.h"
#include "image/generation.h"
#include "machine/collect.h"
#include "machine/directory.h"
#include "machine/services.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"
#include "source/suite.h"
#include "store/store.h"

int complete_offer(const Completion *completion, const char *candidate, const char *description) {
        if (!startswith(candidate, completion->word + completion->offset))
                return 0;
        printf("%.*s%s%s%s\n", (int) completion->offset, completion->word, candidate, description ? "\t" : "",
               description ? description : "");
        return 0;
}

static int offer_all(const Completion *completion, char *const *names) {
        for (; names && *names; names++)
                (void) complete_offer(completion, *names, NULL);
        return 0;
}

static int offer_definitions(const Completion *completion) {
        _cleanup_strv_ char **names = NULL;

        int r = definition_list(completion->settings, &names, NULL);
        return r == -ENOMEM ? r : offer_all(completion, names);
}

/* The numbers of old generations of image @name, from the names of their directories: only root can read the numbers
 * in the trees. */
static int list_generations(const Completion *completion, const char *name, char ***ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_strv_ char **entries = NULL;

        if (image_name_problem(name))
                return 0;
        if (string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s", completion->settings->root_dir, name) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || directory_names(fd, &entries) < 0)
                return 0;
        for (char **entry = entries; entry && *entry; entry++) {
                uint64_t number;

                if (parse_uint64(*entry, &number) >= 0 && strv_extend(ret, *entry) < 0)
                        return -ENOMEM;
        }
        strv_sort(*ret);
        return 0;
}

/* Old generations, which have names of their own. */
static int offer_generations(const Completion *completion, const char *name) {
        _cleanup_strv_ char **numbers = NULL;

        int r = list_generations(completion, name, &numbers);
        if (r < 0)
                return r;
        for (char **number = numbers; number && *number; number++) {
                _cleanup_free_ char *word = NULL;

                r = string_printf(&word, "%s@%s", name, *number);
                if (r < 0)
                        return r;
                (void) complete_offer(completion, word, NULL);
        }
        return 0;
}

int complete_references(const Completion *completion) {
        _cleanup_free_ char *root = NULL;
        _cleanup_strv_ char **names = NULL;

        if (image_root_path(completion->settings->root_dir, IMAGE_ROOT_REGISTRIES, &root) < 0)
                return -ENOMEM;
        int r = image_list(root, &names, NULL);
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *reference = NULL;

                if (image_cache_reference(root, *name, &reference) < 0)
                        return -ENOMEM;
                (void) complete_offer(completion, reference, NULL);
        }
        return r == -ENOMEM ? r : 0;
}

static int offer_images(const Completion *completion) {
        _cleanup_strv_ char **names = NULL;

        int r = image_list(completion->settings->root_dir, &names, NULL);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                (void) complete_offer(completion, *name, NULL);
                /* As long as nothing is typed, the list of images is easier to read. */
                if (completion->word[completion->offset])
                        r = offer_generations(completion, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int complete_images(const Completion *completion) {
        if (completion->command && completion->command->flags & COMMAND_DEFINITION)
                return offer_definitions(completion);
        int r = offer_images(completion);
        if (r == -ENOMEM)
                return r;
        return strchr(completion->word, '/') || strchr(completion->word, '.') ? complete_references(completion) : 0;
}

int complete_generations(const Completion *completion) {
        _cleanup_strv_ char **numbers = NULL;

        int r = completion->first ? list_generations(completion, completion->first, &numbers) : 0;
        return r < 0 ? r : offer_all(completion, numbers);
}

int complete_jobs_and_images(const Completion *completion) {
        int r = complete_jobs(completion);
        return r < 0 ? r : complete_images(completion);
}

int complete_jobs(const Completion *completion) {
        _cleanup_strv_ char **ids = NULL;

        int r = machine_list(completion->settings, false, &ids);
        for (char **id = ids; id && *id; id++)
                if (id_service_number(*id, NULL) == 0)
                        (void) complete_offer(completion, *id, NULL);
        return r == -ENOMEM ? r : 0;
}

int complete_services(const Completion *completion) {
        const Settings *settings = completion->settings;
        _cleanup_strv_ char **services = NULL;

        int r = completion->first ? services_list(settings, completion->first, &services) : 0;
        for (char **id = services; id && *id; id++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;

                if (machine_directory_open(settings->runtime_dir, *id, false, &directory) >= 0 &&
                    machine_load(&directory, &machine) >= 0)
                        (void) offer_all(completion, machine->names);
        }
        return r == -ENOMEM ? r : 0;
}

static int list_projects(const Completion *completion, const PlaceKind *kind, char ***projects) {
        _cleanup_strv_ char **names = NULL;

        int r = place_list(completion->settings->root_dir, kind, &names);
        for (char **name = names; name && *name; name++) {
                _cleanup_place_ Place place = PLACE_NONE;
                _cleanup_place_record_ PlaceRecord record = { 0 };
                _cleanup_free_ char *path = NULL;

                if (place_open(completion->settings->root_dir, kind, *name, &place) < 0 ||
                    place_load_record(&place, &record) < 0 || !record.repository)
                        continue;
                const char *host = strstr(record.repository, "://");
                const char *slash = host ? strchr(host + 3, '/') : NULL;
                const char *end = slash ? endswith(slash, ".git") : NULL;
                if (slash && !(path = strndup(slash + 1, end ? (size_t) (end - slash - 1) : strlen(slash + 1))))
                        return -ENOMEM;
                if (path && strv_extend(projects, path) < 0)
                        return -ENOMEM;
        }
        return r == -ENOMEM ? r : 0;
}

int complete_projects(const Completion *completion) {
        _cleanup_strv_ char **projects = NULL;

        int r = list_projects(completion, &place_caches, &projects);
        if (r < 0)
                return r;
        r = list_projects(completion, &place_builds, &projects);
        if (r < 0)
                return r;
        strv_sort_unique(projects);
        return offer_all(completion, projects);
}

int complete_suites(const Completion *completion) {
        _cleanup_strv_ char **names = NULL;

        int r = suite_list(&names);
        return r < 0 ? r : offer_all(completion, names);
}

int complete_pipeline_sources(const Completion *completion) {
        static const char *const names[] = {
                "push", "merge_request_event", "schedule", "web", "tag", "api", "trigger", "pipeline"
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) complete_offer(completion, names[i], NULL);
        return 0;
}

int complete_files(const Completion *completion) {
        puts(":files");
        return completion->command && completion->command->flags & COMMAND_DEFINITION ? offer_definitions(completion) :
                                                                                        0;
}

int complete_directories(_unused_ const Completion *completion) {
        puts(":directories");
        return 0;
}
