/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opens and lists images, and looks into them: which systemd, which architecture. Called by everything that uses an
 * image. It must only read, follow no symlink out of the tree, and run nothing of it. */

#include "image/image.h"

#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/check.h"

void image_free(Image *image) {
        if (!image)
                return;
        free(image->name);
        free(image->title);
        free(image->root_dir);
        free(image->path);
        free(image->current_path);
        closep(&image->fd);
        free(image);
}

uint64_t image_generation(int tree_fd) {
        char text[24];
        uint64_t number;
        ssize_t n = fgetxattr(tree_fd, GENERATION_ATTRIBUTE, text, sizeof(text) - 1);

        if (n <= 0)
                return 0;
        text[n] = 0;
        return parse_uint64(text, &number) >= 0 && number <= INT64_MAX ? number : 0;
}

static int image_path(const char *root_dir, const char *name, char **ret) {
        if (*root_dir == '/')
                return string_printf(ret, "%s/%s", root_dir, name);

        _cleanup_free_ char *absolute = realpath(root_dir, NULL);
        return absolute ? string_printf(ret, "%s/%s", absolute, name) : -errno;
}

static int open_at(int root_fd, const char *root_dir, const char *name, Image **ret) {
        if (image_name_problem(name))
                return -EINVAL;

        _cleanup_image_ Image *image = malloc(sizeof(Image));
        if (!image)
                return -ENOMEM;
        *image = (Image){ .fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) };
        if (image->fd < 0)
                return errno == ELOOP ? -ENOTDIR : -errno;
        int r = tree_is_root(image->fd);
        if (r < 0)
                return r;
        r = image_path(root_dir, name, &image->path);
        if (r < 0)
                return r;
        if (string_replace(&image->name, name) < 0 || string_replace(&image->title, name) < 0 ||
            string_replace(&image->root_dir, root_dir) < 0 || string_replace(&image->current_path, image->path) < 0)
                return -ENOMEM;
        image->generation = image_generation(image->fd);
        *ret = TAKE_PTR(image);
        return 0;
}

int image_open(const char *root_dir, const char *name, Image **ret) {
        if (image_name_problem(name))
                return -EINVAL;
        _cleanup_close_ int root_fd = open(root_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return root_fd < 0 ? -errno : open_at(root_fd, root_dir, name, ret);
}

int image_recognize(int images_fd, const char *name) {
        _cleanup_close_ int fd = openat(images_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return errno == ELOOP ? -ENOTDIR : -errno;
        int r = tree_is_root(fd);
        return r == -ENODATA && image_generation(fd) > 0 ? 0 : r;
}

int image_is_still(const char *root_dir, const char *name, const Image *known) {
        _cleanup_image_ Image *now = NULL;

        int r = image_open(root_dir, name, &now);
        if (r < 0 && r != -ENOENT)
                return r;
        return !now == !known && (!now || now->generation == known->generation);
}

/* Adds the directory to the lists, if it is an image or may be one. */
static int list_one(int root_fd, const char *root_dir, const char *name, char ***names, char ***broken) {
        _cleanup_image_ Image *image = NULL;

        int r = open_at(root_fd, root_dir, name, &image);
        switch (-r) {
        case 0:
                return strv_extend(names, name);
        case EINVAL:
        case ENOENT:
        case ENOTDIR:
        case ENODATA: /* no image */
                return 0;
        case EMFILE:
        case ENFILE:
        case ENOMEM: /* says nothing about the directory */
                return r;
        default:
                return strv_extendf(broken, "'%s': %s", name, strerror(-r));
        }
}

int image_list(const char *root_dir, char ***ret_names, char ***ret_broken) {
        _cleanup_strv_ char **names = NULL, **broken = NULL;
        _cleanup_close_ int root_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (root_fd < 0 && errno != ENOENT)
                return -errno;
        _cleanup_closedir_ DIR *dir = root_fd < 0 ? NULL : directory_stream_of(root_fd);
        if (root_fd >= 0 && !dir)
                return -errno;
        while (dir) {
                const struct dirent *entry = directory_next(dir);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
                        continue;
                int r = list_one(root_fd, root_dir, entry->d_name, &names, &broken);
                if (r < 0)
                        return r;
        }
        strv_sort(names);
        strv_sort(broken);
        *ret_names = TAKE_PTR(names);
        if (ret_broken)
                *ret_broken = TAKE_PTR(broken);
        return 0;
}

int image_init(int tree_fd, const char **ret) {
        static const char *const candidates[] = { "/usr/lib/systemd/systemd", "/lib/systemd/systemd" };

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++) {
                _cleanup_close_ int fd = find_in_root(tree_fd, candidates[i], O_PATH);
                struct stat st;

                if (fd < 0 && fd != -ENOENT)
                        return fd;
                if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111)) {
                        *ret = candidates[i];
                        return 0;
                }
        }
        *ret = NULL;
        return 0;
}

/* The version in the name of systemd's library in directory @path; 0: there is none; or -errno. systemd-nspawn goes by this
 * name, too. */
static int library_version(int tree_fd, const char *path) {
        static const char prefix[] = "libsystemd-shared-";
        _cleanup_closedir_ DIR *dir = NULL;

        int r = directory_find_in_root(tree_fd, path, &dir);
        if (r <= 0)
                return r;
        for (;;) {
                const struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                const char *version = startswith(entry->d_name, prefix);
                if (version && endswith(entry->d_name, ".so"))
                        return (int) MIN(strtoul(version, NULL, 10), INT_MAX); /* "257.9-1" with some distributions */
        }
}

/* Debian's is in /usr/lib/MULTIARCH, since version 251. */
static int multiarch_version(int tree_fd) {
        _cleanup_closedir_ DIR *dir = NULL;

        int r = directory_find_in_root(tree_fd, "/usr/lib", &dir);
        if (r <= 0)
                return r;
        for (;;) {
                _cleanup_free_ char *path = NULL;

                const struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (!strstr(entry->d_name, "-linux-"))
                        continue;
                if (string_printf(&path, "/usr/lib/%s/systemd", entry->d_name) < 0)
                        return -ENOMEM;
                r = library_version(tree_fd, path);
                if (r != 0)
                        return r;
        }
}

int image_systemd_version(int tree_fd) {
        static const char *const directories[] = { "/usr/lib/systemd", "/usr/lib64/systemd", "/lib/systemd" };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int r = library_version(tree_fd, directories[i]);
                if (r != 0)
                        return r;
        }
        return multiarch_version(tree_fd);
}

int image_boot(int tree_fd, BootMode boot, const char **ret_init) {
        const char *init = NULL;

        int r = boot == BOOT_NO ? 0 : image_init(tree_fd, &init);
        if (r < 0)
                return r;
        if (!init && (boot == BOOT_YES || boot == BOOT_EAGER))
                return -ENOEXEC;
        *ret_init = init;
        return 0;
}

int image_is_i386(int tree_fd) {
        static const char *const programs[] = { "/bin/sh", "/usr/bin/env" };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                _cleanup_close_ int fd = file_open_in_root(tree_fd, programs[i]);
                Elf32_Ehdr header;

                if (fd == -ENOENT || fd == -EISDIR || fd == -ENOTSUP)
                        continue;
                if (fd < 0)
                        return fd;
                if (pread(fd, &header, sizeof(header), 0) == (ssize_t) sizeof(header) &&
                    memcmp(header.e_ident, ELFMAG, SELFMAG) == 0)
                        return header.e_ident[EI_CLASS] == ELFCLASS32 && le16toh(header.e_machine) == EM_386;
        }
        return 0;
}
