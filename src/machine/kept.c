/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lets the machine of a failed job stay for a while. Called by `run`, which knows how scripts end, by `cleanup`, which
 * would remove the machine, and by `end-kept` and whatever else removes machines. All that is known is in the machine's
 * directory: whoever is killed here leaves a machine that runs without being kept, or one that is kept, and the next
 * `prepare` or `gc` finds its way. */

#include "machine/kept.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/string.h"
#include "container/channel.h"
#include "machine/disk.h"
#include "machine/remove.h"
#include "machine/services.h"

#define FILE_FAILED "failed"
#define FILE_KEPT "kept"
#define FILE_SIZE "kept-size"

/* Whoever looks at the machines holds the lock of a directory for a moment. */
#define LOCK_TIMEOUT_USEC (500 * USEC_PER_MSEC)

/* How long `cleanup` measures itself: enough for thousands of files. */
#define MEASURE_USEC (20 * USEC_PER_MSEC)

void kept_note(const MachineDirectory *directory, const char *stage, const char *how) {
        _cleanup_free_ char *before = machine_file_read(directory, FILE_FAILED), *text = NULL;
        const char *name = isempty(stage) ? "script" : stage;

        if (how) {
                if (string_printf(&text, "%.64s: %s", name, how) >= 0)
                        (void) machine_file_write(directory, FILE_FAILED, text);
                return;
        }
        /* GitLab Runner has tried this stage again, with success. Failures of other stages are final and stay noted. */
        const char *rest = before ? startswith(before, name) : NULL;
        if (rest && rest[0] == ':')
                (void) unlinkat(directory->fd, FILE_FAILED, 0);
}

bool kept_until(const MachineDirectory *directory, uint64_t *ret) {
        _cleanup_free_ char *text = machine_file_read(directory, FILE_KEPT);

        return text && parse_uint64(text, ret) >= 0;
}

bool kept_or_job_is(const MachineDirectory *directory, const char *id) {
        _cleanup_free_ char *path = NULL;
        size_t length;

        if (id_service_number(id, &length) == 0)
                return faccessat(directory->fd, FILE_KEPT, F_OK, 0) >= 0;
        return string_printf(&path, "../%.*s/" FILE_KEPT, (int) length, id) >= 0 &&
               faccessat(directory->fd, path, F_OK, 0) >= 0;
}

/* With its services. 0; -ETIME: that is a lower bound; or another -errno. */
static int measure(const Settings *settings, const char *id, uint64_t deadline, uint64_t *ret) {
        _cleanup_strv_ char **services = NULL;

        int result = machine_disk_bytes(settings, id, deadline, ret);
        if (result < 0 && result != -ETIME)
                return result;
        int r = services_list(settings, id, &services);
        if (r < 0)
                return r;
        for (char **service = services; service && *service; service++) {
                uint64_t bytes = 0;

                r = machine_disk_bytes(settings, *service, deadline, &bytes);
                *ret += bytes;
                if (r == -ETIME)
                        result = r;
        }
        return result;
}

static int write_number(const MachineDirectory *directory, const char *name, uint64_t number) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, number);
        return machine_file_write(directory, name, text);
}

int kept_measure(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t bytes;

        int r = measure(settings, id, USEC_INFINITY, &bytes);
        if (r < 0)
                return r;
        r = machine_directory_open(settings->runtime_dir, id, false, &directory);
        return r < 0 ? r : write_number(&directory, FILE_SIZE, bytes);
}

static int begin(const Settings *settings, const char *id, const MachineDirectory *directory, uint64_t keep_usec,
                 uint64_t *ret_until) {
        uint64_t bytes = 0;

        if (kept_until(directory, ret_until))
                return clock_now_usec() < *ret_until ? KEEP_ALREADY : KEEP_NOT;
        if (keep_usec == 0)
                return KEEP_NOT;
        (void) measure(settings, id, clock_deadline(MEASURE_USEC), &bytes);
        if (bytes > settings->keep_failed_size_bytes)
                return KEEP_TOO_LARGE;
        int r = write_number(directory, FILE_SIZE, bytes);
        if (r < 0)
                return r;
        *ret_until = clock_deadline(keep_usec);
        r = write_number(directory, FILE_KEPT, *ret_until);
        return r < 0 ? r : KEEP_BEGUN;
}

/* What is known of it, with its services. */
static uint64_t size_of(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t bytes;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0)
                return 0;
        _cleanup_free_ char *text = machine_file_read(&directory, FILE_SIZE);
        return text && parse_uint64(text, &bytes) >= 0 ? bytes : 0;
}

static bool are_too_many(const Settings *settings, char *const *ids) {
        uint64_t bytes = 0;

        for (char *const *id = ids; id && *id; id++)
                bytes += size_of(settings, *id);
        return bytes > settings->keep_failed_size_bytes || strv_length(ids) > settings->keep_failed_max;
}

int kept_limit(const Settings *settings) {
        size_t failed = 0;
        int result = 0;

        /* Listed each time: others may be doing the same. */
        for (;;) {
                _cleanup_strv_ char **ids = NULL;

                int r = kept_list(settings, &ids);
                if (r < 0)
                        return r;
                if (failed >= strv_length(ids) || !are_too_many(settings, ids))
                        return result;
                r = machine_remove(settings, ids[failed]);
                if (r < 0)
                        failed++;
                if (r < 0 && result == 0)
                        result = r;
        }
}

/* A look without the lock, as most jobs are not kept. */
static bool has_been_kept(const Settings *settings, const char *id) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t until_usec;

        return machine_directory_open(settings->runtime_dir, id, false, &directory) >= 0 &&
               kept_until(&directory, &until_usec);
}

int machine_keep(const Settings *settings, const char *id, uint64_t keep_usec, uint64_t *ret_until, char **ret_why) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_free_ char *why = NULL;

        if (settings->keep_failed_max == 0 || (keep_usec == 0 && !has_been_kept(settings, id)))
                return KEEP_NOT;
        int r = machine_directory_lock(settings->runtime_dir, id, false, LOCK_TIMEOUT_USEC, &directory);
        if (r < 0) /* then it is being made or removed */
                return r == -ENOENT || r == -EBUSY ? KEEP_NOT : r;
        why = machine_file_read(&directory, FILE_FAILED);
        _cleanup_close_ int socket_fd = why ? channel_connect(directory.path) : -EBADF;
        if (socket_fd < 0)
                return KEEP_NOT;
        int outcome = begin(settings, id, &directory, keep_usec, ret_until);
        if (outcome <= KEEP_NOT)
                return outcome;
        *ret_why = TAKE_PTR(why);
        machine_directory_done(&directory);
        r = kept_limit(settings);
        return r < 0 ? r : outcome;
}

typedef struct Kept {
        char *id;
        uint64_t until_usec;
} Kept;

static int compare_kept(const void *a, const void *b) {
        const Kept *x = a, *y = b;

        return x->until_usec < y->until_usec ? -1 : x->until_usec > y->until_usec;
}

int kept_list(const Settings *settings, char ***ret) {
        _cleanup_strv_ char **ids = NULL, **sorted = NULL;
        size_t n = 0;

        int r = machine_directory_list(settings->runtime_dir, &ids);
        if (r < 0)
                return r;
        _cleanup_free_ Kept *kept = calloc(strv_length(ids) + 1, sizeof(Kept));
        if (!kept)
                return -ENOMEM;
        for (char **id = ids; id && *id; id++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

                if (machine_directory_open(settings->runtime_dir, *id, false, &directory) >= 0 &&
                    kept_until(&directory, &kept[n].until_usec))
                        kept[n++].id = *id;
        }
        SORT(kept, n, compare_kept);
        for (size_t i = 0; i < n; i++) {
                r = strv_extend(&sorted, kept[i].id);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(sorted);
        return 0;
}

int kept_wait(const Settings *settings, const char *id, uint64_t deadline) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        uint64_t until_usec;

        int r = machine_directory_open(settings->runtime_dir, id, false, &directory);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!kept_until(&directory, &until_usec))
                return 0;
        _cleanup_close_ int socket_fd = channel_connect(directory.path);
        /* A job that lets nobody in is there until its time is over. */
        if (socket_fd < 0 && socket_fd != -ETIMEDOUT)
                return 0;
        machine_directory_done(&directory); /* others may remove it */
        struct pollfd pollfd = { .fd = socket_fd, .events = 0 };
        for (;;) {
                r = poll(&pollfd, 1, clock_poll_timeout(MIN(until_usec, deadline)));
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0 || clock_now_usec() >= until_usec)
                        return 0;
                if (clock_now_usec() >= deadline)
                        return -ETIME;
        }
}

int kept_give_way(const Settings *settings, bool (*is_enough)(void *userdata), void *userdata) {
        _cleanup_strv_ char **ids = NULL;
        int result = 0;

        int r = kept_list(settings, &ids);
        if (r < 0)
                return r;
        for (char **id = ids; id && *id && !is_enough(userdata); id++) {
                r = machine_remove(settings, *id);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}
