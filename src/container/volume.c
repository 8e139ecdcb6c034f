/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Volumes as texts in the plan of a container, and the locks that say that they are in use. Whoever plans a container
 * writes them, and `supervise` reads and locks them; bind.c mounts them. Nothing here opens what is in a volume. */

#include "container/volume.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"

#define SEPARATOR "\n"
#define LOCKED "locked"
#define HELD LOCKED " "

#define HOLDER_MAX_BYTES 64

void volume_done(Volume *volume) {
        free(volume->source);
        free(volume->target);
        free(volume->holder);
        *volume = (Volume){ 0 };
}

int volume_add(char ***volumes, const char *source, const char *target, bool locked, const char *holder) {
        return strv_extendf(volumes, "%s" SEPARATOR "%s" SEPARATOR "%s%s", source, target,
                            holder ? HELD :
                            locked ? LOCKED :
                                     "",
                            holder ? holder : "");
}

int volume_parse(const char *text, Volume *ret) {
        const size_t n_source = strcspn(text, SEPARATOR);
        const char *target = text + n_source + (text[n_source] != 0);
        const size_t n_target = strcspn(target, SEPARATOR);
        const char *lock = target + n_target + (target[n_target] != 0);

        const char *holder = startswith(lock, HELD);

        if (text[0] != '/' || target[0] != '/' || !target[n_target] ||
            (*lock && !streq(lock, LOCKED) && isempty(holder)))
                return -EBADMSG;
        _cleanup_volume_ Volume volume = {
                .source = strndup(text, n_source),
                .target = strndup(target, n_target),
                .locked = *lock,
        };
        if (!isempty(holder))
                volume.holder = strdup(holder);
        if (!volume.source || !volume.target || (!isempty(holder) && !volume.holder))
                return -ENOMEM;
        *ret = volume;
        volume = (Volume){ 0 };
        return 0;
}

void volume_locks_done(VolumeLocks *locks) {
        for (size_t i = 0; i < locks->n; i++)
                closep(&locks->fds[i]);
        free(locks->fds);
        *locks = (VolumeLocks){ 0 };
}

/* The `prepare` that planned the container may have been killed before we had the lock, and the next job may have
 * taken the place. */
static int check_holder(int fd, const char *holder) {
        _cleanup_free_ char *text = NULL;

        int r = holder ? file_read_at(fd, VOLUME_HOLDER, HOLDER_MAX_BYTES, &text, NULL) : 0;
        return r == -ENOENT || (r >= 0 && holder && !streq(text, holder)) ? -ESTALE : r;
}

/* The directory above the source, locked: a descriptor, or -errno. */
static int lock_above(const Volume *volume) {
        _cleanup_free_ char *place = strdup(volume->source);

        if (!place)
                return -ENOMEM;
        *strrchr(place, '/') = 0;
        _cleanup_close_ int fd = directory_lock_now(AT_FDCWD, place, false, LOCK_SH);
        if (fd < 0)
                return fd;
        int r = check_holder(fd, volume->holder);
        return r < 0 ? r : TAKE_FD(fd);
}

int volumes_lock(const Machine *machine, VolumeLocks *ret, char **reterr_source) {
        _cleanup_volume_locks_ VolumeLocks locks = { .fds = calloc(strv_length(machine->volumes) + 1, sizeof(int)) };

        if (!locks.fds)
                return -ENOMEM;
        for (char **text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                int r = volume_parse(*text, &volume);
                if (r < 0)
                        return r;
                if (!volume.locked)
                        continue;
                int fd = lock_above(&volume);
                if (fd < 0) {
                        *reterr_source = TAKE_PTR(volume.source);
                        return fd;
                }
                locks.fds[locks.n++] = fd;
        }
        *ret = locks;
        locks = (VolumeLocks){ 0 };
        return 0;
}
