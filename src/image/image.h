/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "config/image-name.h"
#include "config/settings.h"

/* An image: a directory right below the image root that holds a root file system, however it got there. */
typedef struct Image {
        char *name;
        char *title;    /* for people: the name, or the reference of one that came from a registry (image/cache.h) */
        char *root_dir; /* directory of images that it is in */
        char *path;     /* absolute */
        char *current_path;  /* where the image's current generation is: @path, unless this is an old one */
        int fd;              /* the directory (O_RDONLY|O_DIRECTORY), opened without following symlinks */
        uint64_t generation; /* of the tree that was opened (image/generation.h); 0: it has no number */
} Image;

/* Opens image @name in @root_dir; *ret is for image_free(). Returns 0; -EINVAL for a bad name; -ENOENT; -ENOTDIR for
 * something else than a real directory (symlinks are not followed); -ENODATA for a directory that holds no root file
 * system (empty or half made: it has no usr/, which systemd-nspawn insists on); or another -errno. */
int image_open(const char *root_dir, const char *name, Image **ret);
/* The number of its generation (image/generation.h) that the tree with top directory @tree_fd bears in the attribute; 0
 * where it has none. */
#define GENERATION_ATTRIBUTE "trusted.nspawn-runner.generation"
uint64_t generation_number(int tree_fd);

void image_free(Image *image);
DEFINE_CLEANUP(Image *, image_free)
#define _cleanup_image_ _cleanup_(image_freep)

/* Is directory @name, in the directory of images @images_fd, an image, or one that was: it holds a root file system, or it
 * bears the number of a generation, which only a tree has that was published here. For who removes images: all else in
 * there is somebody's data. Returns 0; -ENOENT; -ENOTDIR and -ENODATA as image_open(); or another -errno. */
int image_recognize(int images_fd, const char *name);

/* Does image @name in @root_dir still have the generation that @known has (NULL: is there still none)? For who holds the
 * lock of what changes it. 1 or 0; or -errno. */
int image_is_still(const char *root_dir, const char *name, const Image *known);

/* The names of the images in @root_dir, sorted; hidden and half-made ones are left out. A root directory that does
 * not exist has none, *ret_names is then NULL; else it is for strv_free(). 0 or -errno. */
int image_list(const char *root_dir, char ***ret_names);

/* Path inside the image with top directory @tree_fd of the systemd that could boot it, or NULL: static string. Symlinks are resolved inside the
 * image only. */
const char *image_init(int tree_fd);

/* What setting `boot` comes to for the image with top directory @tree_fd: the path of image_init() when jobs boot it, NULL when they do not.
 * Returns 0, or -ENOEXEC for `boot: yes` or `boot: eager` and an image without systemd. */
int image_boot(int tree_fd, BootMode boot, const char **ret_init);

/* Are the programs of the image with top directory @tree_fd those of 32-bit x86? Asks its shell. */
bool image_is_i386(int tree_fd);
