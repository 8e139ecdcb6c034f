/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `cache`: lists and removes what is kept for the next jobs of projects: caches and working copies. Never
 * touches what a job has at the moment. What jobs wrote is measured here, but not read. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "storage/trash.h"
#include "store/store.h"
#include "terminal/table.h"
#include "terminal/time-text.h"

static const PlaceKind *const kinds[] = { &place_caches, &place_builds };

enum { KIND, PROJECT, ID, REF, SLOT, SIZE, USED, STATE, NAME, N_COLUMNS };

static const TableColumn columns[N_COLUMNS + 1] = {
        [KIND] = { "kind", COLUMN_TEXT },
        [PROJECT] = { "project", COLUMN_TEXT, .shortens = true },
        [ID] = { "id", COLUMN_NUMBER, .rank = 3 },
        [REF] = { "ref", COLUMN_TEXT, .rank = 4 },
        [SLOT] = { "slot", COLUMN_NUMBER, .rank = 2 },
        [SIZE] = { "size", COLUMN_NUMBER },
        [USED] = { "last-used", COLUMN_TEXT, .rank = 1 },
        [STATE] = { "state", COLUMN_TEXT },
        [NAME] = { "name", COLUMN_TEXT, .only_json = true },
};

/* "gitlab.example.com/group/project", or NULL: to be freed. */
static char *project_of(const PlaceRecord *record) {
        const char *host = record->repository ? strstr(record->repository, "://") : NULL;
        const char *end = host ? endswith(host, ".git") : NULL;

        if (!host)
                return record->repository ? strdup(record->repository) : NULL;
        return strndup(host + 3, end ? (size_t) (end - host - 3) : strlen(host + 3));
}

static bool is_in_use(const Place *place) {
        if (lock_try(place->fd, LOCK_EX) < 0)
                return true;
        (void) lock_try(place->fd, LOCK_UN);
        return false;
}

static int add_place(const PlaceKind *kind, const Place *place, bool json, Table *table) {
        char id[24], slot[24], bytes[24], used[TIME_TEXT_BYTES];
        _cleanup_place_record_ PlaceRecord record = { .slot = UINT64_MAX };
        const bool known = place_load_record(place, &record) >= 0;
        _cleanup_free_ char *project = project_of(&record);
        PlaceSize size = place_size(place);

        if (!size.complete || !size.is_up_to_date)
                (void) place_measure(place, USEC_INFINITY, &size);
        snprintf(id, sizeof(id), "%" PRIu64, record.project_id);
        snprintf(slot, sizeof(slot), "%" PRIu64, record.slot);
        if (json)
                snprintf(bytes, sizeof(bytes), "%" PRIu64, size.bytes);
        else
                (void) format_bytes(size.bytes, bytes);
        const char *cells[N_COLUMNS] = {
                [KIND] = kind->name,
                [PROJECT] = known && !project && !json ? "(all)" : project,
                [ID] = known && record.project_id > 0 ? id : NULL,
                [REF] = !known               ? NULL :
                        record.ref_protected ? "protected" :
                                               "other",
                [SLOT] = record.slot == UINT64_MAX ? NULL : slot,
                [SIZE] = bytes,
                [USED] = time_text(place_used_usec(place), json, used),
                [STATE] = is_in_use(place) ? "in use" : "free",
                [NAME] = place->name,
        };
        return table_add(table, cells);
}

static int list_kind(const Settings *settings, const PlaceKind *kind, bool json, Table *table, size_t *n) {
        _cleanup_strv_ char **names = NULL;

        int r = place_list(settings->root_dir, kind, &names);
        if (r < 0)
                return r;
        strv_sort(names);
        for (char **name = names; name && *name; name++) {
                _cleanup_place_ Place place = PLACE_NONE;

                if (place_is_discarded(*name) || place_open(settings->root_dir, kind, *name, &place) < 0)
                        continue;
                r = add_place(kind, &place, json, table);
                if (r < 0)
                        return r;
                (*n)++;
        }
        return 0;
}

static int print_kinds(const Settings *settings, bool json, Table *table, size_t *n) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                int r = list_kind(settings, kinds[i], json, table, n);
                if (r < 0)
                        return r;
        }
        return table_print(table);
}

static int list(const Settings *settings, bool json) {
        _cleanup_table_ Table *table = NULL;
        size_t n = 0;

        int r = table_new_logged("caches", columns, json, &table);
        if (r < 0)
                return r;
        r = print_kinds(settings, json, table, &n);
        if (r < 0)
                return log_error_errno(r, "Cannot list what is kept for jobs in '%s': %m", settings->root_dir);
        if (!json && n == 0)
                log_notice("Nothing is kept for later jobs");
        return 0;
}

/* Does @wanted mean this place: by its own name, or by its project's number, path, or path with the server? */
static bool is_meant(const Place *place, const char *wanted) {
        _cleanup_place_record_ PlaceRecord record = { 0 };
        uint64_t id;

        if (!wanted || streq(place->name, wanted))
                return true;
        if (place_load_record(place, &record) < 0)
                return false;
        if (parse_uint64(wanted, &id) >= 0)
                return id > 0 && id == record.project_id;
        _cleanup_free_ char *project = project_of(&record);
        const char *path = project ? strchr(project, '/') : NULL;
        return project &&
               (streq(project, wanted) || (path && streq(path + 1, wanted)) || streq_null(record.repository, wanted));
}

typedef struct Removal {
        size_t n_found, n_removed;
        int result;
} Removal;

static void remove_one(const Settings *settings, const PlaceKind *kind, const Place *place, Removal *removal) {
        removal->n_found++;
        int r = store_remove(settings->root_dir, kind, place->name);
        if (r < 0 && r != -ENOENT) {
                removal->result = r;
                if (r == -EBUSY)
                        log_error("%s %s is not removed: a job uses it", kind->name, place->name);
                else
                        log_error("Cannot remove all of '%s': %s", place->path, strerror(-r));
                return;
        }
        removal->n_removed++;
        log_notice("Removed %s %s", kind->name, place->name);
}

static int remove_kind(const Settings *settings, const PlaceKind *kind, const char *wanted, Removal *removal) {
        _cleanup_strv_ char **names = NULL;

        int r = place_list(settings->root_dir, kind, &names);
        if (r < 0)
                return log_error_errno(r, "Cannot list '%s/%s': %m", settings->root_dir, kind->directory);
        for (char **name = names; name && *name; name++) {
                _cleanup_place_ Place place = PLACE_NONE;

                if (place_open(settings->root_dir, kind, *name, &place) >= 0 && is_meant(&place, wanted))
                        remove_one(settings, kind, &place, removal);
        }
        return 0;
}

/* What cannot be removed now is left to the next command. */
static void empty_trash(const Settings *settings) {
        _cleanup_close_ int trash_fd = trash_open(settings->root_dir, false);
        int r = trash_fd < 0 ? trash_fd : trash_empty(trash_fd, USEC_INFINITY, NULL);

        if (r < 0)
                log_warning("Cannot remove all of it from '%s/" TRASH_DIRECTORY "': %s", settings->root_dir,
                            strerror(-r));
}

static int remove_meant(const Settings *settings, const char *wanted) {
        Removal removal = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                int r = remove_kind(settings, kinds[i], wanted, &removal);
                if (r < 0)
                        return r;
        }
        if (removal.n_removed > 0)
                empty_trash(settings);
        if (removal.n_found > 0)
                return removal.result;
        if (!wanted) {
                log_notice("Nothing is kept for later jobs");
                return 0;
        }
        log_error("Nothing is kept for project '%s': 'nspawn-runner cache list' shows what is", wanted);
        return -ENOENT;
}

static int run(const Invocation *invocation) {
        const char *verb = invocation_argument(invocation, 0), *project = invocation_argument(invocation, 1);

        if (verb && streq(verb, "remove") && !invocation_has(invocation, "json"))
                return remove_meant(invocation->settings, project);
        if (!project && (!verb || streq(verb, "list")))
                return list(invocation->settings, invocation_has(invocation, "json"));
        log_error("Usage: cache [list] [--json], or cache remove [PROJECT]");
        return COMMAND_MISUSED;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_cache = {
        .name = "cache",
        .synopsis = "[list | remove [PROJECT]]",
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "List or remove caches and working copies that are kept for later jobs",
};
