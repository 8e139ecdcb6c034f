/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds generations of an image, and holds them for those who read from them. Called by jobs, `supervise` and all
 * commands about images. Others may rename a tree meanwhile, so a tree counts as held only if it is still in its place
 * after it was locked. Nothing here may write. */

#include "image/generation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "image/lock.h"
#include "image/rename-settle.h"

/* How long to look for a tree that is being renamed, or that is locked by somebody who checks whether to remove it. */
#define SEARCH_USEC (2 * USEC_PER_SEC)

int generation_split(const char *reference, char **ret_name, uint64_t *ret_number) {
        const char *at = strrchr(reference, '@');
        uint64_t number;

        if (!at || at == reference || parse_uint64(at + 1, &number) < 0 || number == 0 || number > INT64_MAX)
                return -EINVAL;
        char *name = strndup(reference, (size_t) (at - reference));
        if (!name)
                return -ENOMEM;
        *ret_name = name;
        *ret_number = number;
        return 0;
}

static uint64_t number_at(const char *directory, const char *entry) {
        _cleanup_close_ int dir_fd = open_directory_at(AT_FDCWD, directory, false, 0);
        _cleanup_close_ int fd = dir_fd < 0 ? -EBADF : open_directory_at(dir_fd, entry, false, 0);

        return fd < 0 ? 0 : image_generation(fd);
}

/* Opens `<root_dir>/<parent>/<name>/<entry>`, if it is generation @number of image @name. -ENOENT: it is another tree, or
 * none, such as the empty directory that is reserved for a tree. */
static int open_in(const char *root_dir, const char *parent, const char *name, const char *entry, uint64_t number,
                   Image **ret) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *directory = NULL, *directory_of_current = NULL;

        int r = string_printf(&directory, "%s/%s/%s", root_dir, parent, name);
        if (r < 0)
                return r;
        r = image_open(directory, entry, &image);
        if (r == -ENODATA && number_at(directory, entry) != number)
                return -ENOENT;
        if (r < 0)
                return r;
        if (image->generation != number)
                return -ENOENT;
        /* Its path ends in parent/name/entry. */
        size_t n = strlen(image->path) - strlen(entry) - strlen(name) - strlen(parent) - strlen("//");
        if (string_replace(&image->name, name) < 0 || string_replace(&image->title, name) < 0 ||
            string_replace(&image->root_dir, root_dir) < 0 ||
            string_printf(&directory_of_current, "%.*s%s", (int) n, image->path, name) < 0 ||
            string_replace(&image->current_path, directory_of_current) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(image);
        return 0;
}

/* Does the generation have a file? Then a tree that is in none of its places is just being renamed. */
static bool is_known(const char *root_dir, const char *name, uint64_t number) {
        _cleanup_free_ char *path = NULL;

        return generation_json_path(root_dir, name, number, &path) >= 0 && access(path, F_OK) >= 0;
}

/* Opens a generation that is not the current one, whose number is @current. */
static int open_old(const char *root_dir, const char *name, uint64_t number, uint64_t current, Image **ret) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, number);
        int r = open_in(root_dir, GENERATIONS_DIRECTORY, name, text, number, ret);
        if (r != -ENOENT || current == 0 || !is_known(root_dir, name, number))
                return r;
        /* Those who publish and go back first exchange it with the new one, and then move it to its place. They may be
         * killed in between. A tree with a higher number was never published. */
        if (number < current)
                r = open_in(root_dir, STAGING_DIRECTORY, name, STAGING_TREE, number, ret);
        if (r != -ENOENT)
                return r;
        snprintf(text, sizeof(text), "%" PRIu64, current);
        return open_in(root_dir, GENERATIONS_DIRECTORY, name, text, number, ret);
}

/* Looks once in all places where the tree can be. */
static int try_open(const char *root_dir, const char *name, uint64_t number, Image **ret) {
        _cleanup_image_ Image *image = NULL;

        int r = image_open(root_dir, name, &image);
        if (r == -EINVAL || r == -ENOMEM)
                return r;
        if (number != 0 && (!image || image->generation != number))
                return open_old(root_dir, name, number, image ? image->generation : 0, ret);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(image);
        return 0;
}

/* Opens an old generation of an image that is being renamed: its tree is the first thing that gets the new name. */
static int open_renamed(const char *root_dir, const char *name, uint64_t number, Image **ret) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *old_name = NULL, *current = NULL;
        char text[24];

        int r = image_renamed_from(root_dir, name, &old_name);
        if (r < 0)
                return r;
        snprintf(text, sizeof(text), "%" PRIu64, number);
        r = open_in(root_dir, GENERATIONS_DIRECTORY, old_name, text, number, &image);
        if (r < 0)
                return r;
        size_t n = strlen(image->current_path) - strlen(old_name);
        if (string_replace(&image->name, name) < 0 || string_replace(&image->title, name) < 0 ||
            string_printf(&current, "%.*s%s", (int) n, image->current_path, name) < 0 ||
            string_replace(&image->current_path, current) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(image);
        return 0;
}

int generation_open(const char *root_dir, const char *name, uint64_t number, Image **ret) {
        uint64_t deadline = clock_deadline(SEARCH_USEC);

        if (image_name_problem(name))
                return -EINVAL;
        if (number == 0)
                return -ENOENT;
        for (;;) {
                int r = try_open(root_dir, name, number, ret);
                if (r == -ENOENT)
                        r = open_renamed(root_dir, name, number, ret);
                if (r != -ENOENT || !is_known(root_dir, name, number) || clock_now_usec() >= deadline)
                        return r;
                clock_sleep_usec(USEC_PER_MSEC);
        }
}

int generation_open_reference(const char *root_dir, const char *reference, Image **ret) {
        _cleanup_free_ char *name = NULL;
        uint64_t number;

        int r = image_open(root_dir, reference, ret);
        if (r != -ENOENT || generation_split(reference, &name, &number) < 0)
                return r;
        return generation_open(root_dir, name, number, ret);
}

int generation_hold_reference(const char *root_dir, const char *reference, Image **ret) {
        uint64_t deadline = clock_deadline(SEARCH_USEC);

        for (;;) {
                _cleanup_image_ Image *image = NULL;

                int r = generation_open_reference(root_dir, reference, &image);
                if (r < 0)
                        return r;
                r = image_lock_shared(image->fd);
                if (r < 0 && r != -EBUSY)
                        return r;
                if (r == 0 && file_is_at(image->fd, AT_FDCWD, image->path) > 0) {
                        *ret = TAKE_PTR(image);
                        return 0;
                }
                if (clock_now_usec() >= deadline)
                        return -EBUSY;
                clock_sleep_usec(USEC_PER_MSEC);
        }
}

/* False where it cannot be told. */
static bool is_another(int fd, const char *handle) {
        _cleanup_free_ char *found = NULL;

        return handle && file_handle_text(fd, &found) >= 0 && !streq(found, handle);
}

/* Looks in one place. Returns a descriptor; -ENOENT: another tree, or none, is there; or another -errno. */
static int try_hold(const char *path, uint64_t number, const char *handle) {
        _cleanup_close_ int fd = open_directory_at(AT_FDCWD, path, false, 0);

        if (fd < 0)
                return fd;
        if ((number != 0 && image_generation(fd) != number) || is_another(fd, handle))
                return -ENOENT;
        int r = image_lock_shared(fd);
        if (r < 0)
                return r;
        return file_is_at(fd, AT_FDCWD, path) > 0 ? TAKE_FD(fd) : -EBUSY;
}

/* Is @rest, a path in the directory of the images, that of the tree that was current until a publish, and is about to be
 * moved to its place? What is being made has no number, and what is being removed another name. */
static bool was_current(int fd, const char *rest) {
        return startswith(rest, STAGING_DIRECTORY "/") && endswith(rest, "/" STAGING_TREE) && image_generation(fd) != 0;
}

/* Is the directory @fd a generation of an image in @root, and not among what is being made or removed? */
static bool is_generation_in(int fd, const char *root) {
        char link[64], path[PATH_MAX];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return false;
        path[n] = 0;
        const char *rest = startswith(path, root);
        return rest && rest[0] == '/' &&
               (rest[1] != '.' || startswith(rest + 1, GENERATIONS_DIRECTORY "/") || was_current(fd, rest + 1));
}

/* Wherever it is. Returns as try_hold(). */
static int try_hold_handle(const char *root, const char *handle) {
        _cleanup_close_ int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        _cleanup_close_ int fd = file_handle_open(root_fd, handle);
        if (fd < 0)
                return -ENOENT;
        int r = image_lock_shared(fd);
        if (r < 0)
                return r;
        return is_generation_in(fd, root) ? TAKE_FD(fd) : -ENOENT;
}

/* Where an old generation is, or a tree that a publish or going back has exchanged with the present one at @path.
 * Returns as try_hold(). */
static int try_hold_old(const char *root, const char *path, uint64_t number, const char *handle) {
        const char *name = path + strlen(root) + 1;
        const uint64_t numbers[] = { number, number_at(root, name) };
        _cleanup_free_ char *staged = NULL;
        int r = -ENOENT;

        for (size_t i = 0; i < ELEMENTSOF(numbers) && r == -ENOENT; i++) {
                _cleanup_free_ char *old = NULL;

                r = string_printf(&old, "%s/" GENERATIONS_DIRECTORY "/%s/%" PRIu64, root, name, numbers[i]);
                if (r == 0)
                        r = try_hold(old, number, handle);
        }
        if (r != -ENOENT)
                return r;
        r = string_printf(&staged, "%s/" STAGING_DIRECTORY "/%s/" STAGING_TREE, root, name);
        return r < 0 ? r : try_hold(staged, number, handle);
}

int generation_hold_tree(const char *path, uint64_t number, const char *handle) {
        uint64_t deadline = clock_deadline(SEARCH_USEC);
        _cleanup_free_ char *root = NULL;
        const char *slash = strrchr(path, '/');

        if (!slash)
                return -EINVAL;
        int r = string_printf(&root, "%.*s", (int) (slash - path), path);
        if (r < 0)
                return r;
        for (;;) {
                r = try_hold(path, number, handle);
                if (r == -ENOENT && number != 0)
                        r = try_hold_old(root, path, number, handle);
                if (r == -ENOENT && handle)
                        r = try_hold_handle(root, handle);
                if ((r != -ENOENT && r != -EBUSY) || clock_now_usec() >= deadline)
                        return r;
                clock_sleep_usec(USEC_PER_MSEC);
        }
}

static int compare_numbers(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int generation_list_old(const char *root_dir, const char *name, uint64_t **ret, size_t *ret_n) {
        _cleanup_free_ char *path = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        if (image_name_problem(name))
                return -EINVAL;
        int r = string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s", root_dir, name);
        if (r < 0)
                return r;
        _cleanup_closedir_ DIR *dir = opendir(path);
        if (!dir && errno != ENOENT)
                return -errno;
        while (dir) {
                uint64_t number;

                struct dirent *entry = directory_next(dir);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                if (parse_uint64(entry->d_name, &number) < 0 || number == 0)
                        continue;
                /* During a rollback, another generation has this name for a moment. */
                _cleanup_close_ int fd = open_directory_at(dirfd(dir), entry->d_name, false, 0);
                if (fd < 0 || image_generation(fd) != number)
                        continue;
                uint64_t *longer = realloc(numbers, (n + 1) * sizeof(*numbers));
                if (!longer)
                        return -ENOMEM;
                numbers = longer;
                numbers[n++] = number;
        }
        SORT(numbers, n, compare_numbers);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}

int generation_previous(const char *root_dir, const char *name, uint64_t current, uint64_t *ret) {
        _cleanup_free_ uint64_t *numbers = NULL;
        uint64_t best = 0, best_usec = 0;
        size_t n;

        int r = generation_list_old(root_dir, name, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n && (current == 0 || numbers[i] < current); i++) {
                _cleanup_generation_ Generation *generation = NULL;

                r = generation_load(root_dir, name, numbers[i], &generation);
                if (r < 0 && r != -ENOENT && r != -EBADMSG)
                        return r;
                uint64_t usec = r == 0 ? generation->published_usec : 0;
                if (best == 0 || usec >= best_usec) {
                        best = numbers[i];
                        best_usec = usec;
                }
        }
        if (best == 0)
                return -ENOENT;
        *ret = best;
        return 0;
}
