/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "config/image-name.h"
#include "config/settings.h"

/* In root_dir: the old generations of all images (image/generation.h), */
#define GENERATIONS_DIRECTORY ".generations"
/* and the staging directories of all images (image/staging.h). */
#define STAGING_DIRECTORY ".staging"
/* The tree's name in a staging directory. */
#define STAGING_TREE "root"

/* An image: a directory directly in root_dir that contains a root file system, whoever made it. */
typedef struct Image {
        char *name;
        char *title;    /* for people: the name, or the reference of an image of a registry (maintain/image-cache.h) */
        char *root_dir; /* directory that the image is in */
        char *path;     /* absolute */
        char *current_path;  /* of the image's current generation: @path, unless this is an old one */
        int fd;              /* the directory (O_RDONLY|O_DIRECTORY), opened without following symlinks */
        uint64_t generation; /* of the tree that was opened (image/generation.h); 0: it has no number */
} Image;

/* Opens image @name in @root_dir; *ret is for image_free(). 0; -EINVAL for a name that no image can have; -ENOENT; -ENOTDIR
 * for anything but a directory (symlinks are not followed); -ENODATA for a directory without a complete root file system
 * (it has no usr/, which systemd-nspawn insists on); or another -errno. */
int image_open(const char *root_dir, const char *name, Image **ret);

/* image_generation() returns the number of the generation (image/generation.h) that the tree with top directory
 * @tree_fd is, from this attribute; 0: it has none. */
#define GENERATION_ATTRIBUTE "trusted.nspawn-runner.generation"
uint64_t image_generation(int tree_fd);

void image_free(Image *image);
DEFINE_CLEANUP(Image *, image_free)
#define _cleanup_image_ _cleanup_(image_freep)

/* May directory @name in the directory of images @images_fd be removed as an image? It must contain a root file system
 * or have the number of a generation, which only published trees have. Anything else is somebody's data. 0; -ENOENT;
 * -ENOTDIR and -ENODATA as for image_open(); or another -errno. */
int image_recognize(int images_fd, const char *name);

/* Is generation @known still the current one of image @name in @root_dir? With @known NULL: is there still no image?
 * The caller holds the image's staging lock. Returns 1 or 0; or -errno. */
int image_is_still(const char *root_dir, const char *name, const Image *known);

/* Lists the names of the images in @root_dir, sorted, without hidden and incomplete ones. *ret_names is for strv_free();
 * NULL: there is no image, or no such directory. Directories that cannot be looked at, such as mounts whose server is gone,
 * are not among them: *ret_broken (may be NULL) gets a text for each, with its name and the reason, or NULL; also for
 * strv_free(). They may be images: who removes what has no image must not go by @ret_names. 0 or -errno. */
int image_list(const char *root_dir, char ***ret_names, char ***ret_broken);

/* *ret becomes the path, as seen inside, of the systemd that could boot the image with top directory @tree_fd (static text);
 * NULL: it has none. Follows no symlink out of the image. 0 or -errno. */
int image_init(int tree_fd, const char **ret);

/* The version of the systemd that the image with top directory @tree_fd has, by the name of its library; 0: it has none, or
 * the name does not tell; or -errno where that could not be found out. Follows no symlink out of the image. */
int image_systemd_version(int tree_fd);

/* What the setting `boot` means for the image with top directory @tree_fd: *ret_init is the path of image_init() if jobs boot
 * it, NULL if they do not. 0; -ENOEXEC for `boot: yes` or `boot: eager` and an image without systemd; or another -errno. */
int image_boot(int tree_fd, BootMode boot, const char **ret_init);

/* Are the programs of the image with top directory @tree_fd for 32-bit x86? Reads the header of its shell, or else of
 * env. 1, 0 or -errno. */
int image_is_i386(int tree_fd);
