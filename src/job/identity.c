/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the id that a job of GitLab's has on this host. gitlab/job.c calls this. Only what GitLab itself says may be
 * used: a job that could choose its id could take another one's container. */

#include "job/identity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/new-file.h"
#include "base/string.h"

#define KEY_FILE "key"
#define KEY_SIZE 16

/* The key with which tokens are hashed. It is made anew at each boot of the host, and only root can read it. */
static int read_key(const char *runtime_dir, uint8_t ret[static KEY_SIZE]) {
        for (unsigned tries = 0;; tries++) {
                _cleanup_free_ char *key = NULL;
                size_t size;

                _cleanup_close_ int dir_fd = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                int r = dir_fd < 0 ? -errno : file_read_at(dir_fd, KEY_FILE, 4096, &key, &size);
                if (r == 0) {
                        if (size != KEY_SIZE)
                                return -EBADMSG;
                        memcpy(ret, key, KEY_SIZE);
                        return 0;
                }
                if (r != -ENOENT || tries > 0)
                        return r;

                uint8_t fresh[KEY_SIZE];
                if (getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh))
                        return -EIO;
                if (dir_fd < 0) {
                        r = mkdir_parents(runtime_dir, 0755);
                        if (r < 0)
                                return r;
                        dir_fd = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        if (dir_fd < 0)
                                return -errno;
                }
                r = file_publish_at(dir_fd, KEY_FILE, fresh, sizeof(fresh), 0600);
                if (r < 0)
                        return r;
        }
}

/* The number alone could be that of a job on another server. The token belongs to one job only, but is secret: hence
 * a hash with a key. The repository and the project are hashed, too, in case that a server leaves the token out. */
int job_id_make(const char *runtime_dir, const JobSpec *spec, char **ret) {
        uint8_t key[KEY_SIZE];
        Hash hash;

        int r = read_key(runtime_dir, key);
        if (r < 0)
                return r;
        hash_init(&hash, key);
        hash_string(&hash, spec->token);
        hash_string(&hash, spec->repository);
        hash_update(&hash, &spec->project_id, sizeof(spec->project_id));
        return string_printf(ret, "%" PRIu64 "-%08" PRIx32, spec->number, (uint32_t) hash_finish(&hash));
}
