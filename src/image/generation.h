/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/image-config.h"
#include "config/value.h"
#include "image/image.h"

/* An image has generations, numbered from 1. The current one is the tree `<root_dir>/NAME`; older ones are in
 * `<root_dir>/.generations/NAME/<number>/`. Beside those is `<number>.json` with what is known of each generation, also of
 * the current one. An extended attribute of a tree's top directory has its number, so tree and number stay together when
 * the tree is renamed. A tree without this attribute was put there by hand: its number is 0.
 *
 * To publish and to go back, the current tree is first exchanged with another one and then moved to its place, so for a
 * moment, or after a crash until the next process locks the image, it is where the other one was: in the staging directory
 * or under that one's number. Functions that open or hold a generation find it there, too.
 *
 * A process that changes any of this for image NAME holds the lock of its staging directory (image/staging.h). */

/* What is known of one generation. */
typedef struct Generation {
        uint64_t number;
        uint64_t created_usec;   /* wall clock: when its first ancestor was made from a source */
        uint64_t updated_usec;   /* when this generation was made */
        uint64_t published_usec; /* when it last became the current one */
        uint64_t asked_usec;     /* images of registries: when the registry was last asked for the image */
        uint64_t keep;       /* generations to keep while this one is current, itself included; 0: GENERATIONS_KEPT */
        uint64_t size_bytes; /* images of registries: size on disk; 0: not known */
        char *source;        /* such as "suite bookworm"; NULL, here and below: not known */
        char *digest;        /* `SourceResult.digest` (source/source.h) */
        char *definition;    /* path of the file */
        ImageConfig config;  /* of an OCI image; nothing in it for others */
        bool has_command; /* @config has entrypoint and command; older versions of this program did not record them */
} Generation;

void generation_free(Generation *generation);
DEFINE_CLEANUP(Generation *, generation_free)
#define _cleanup_generation_ _cleanup_(generation_freep)

/* Reads what is known of generation @number of image @name; *ret is for generation_free(). 0; -ENOENT: nothing is known;
 * -EBADMSG: the file is damaged; or another -errno. */
int generation_load(const char *root_dir, const char *name, uint64_t number, Generation **ret);

/* The same for the tree that @image has opened, also if the image was renamed since, or is being renamed. For a tree that
 * was made by hand, *ret has only its number. 0 or -errno; never -ENOENT. */
int generation_load_of(const Image *image, Generation **ret);

/* Makes the path of `<number>.json` of image @name, which need not exist. *ret is to be freed. 0 or -ENOMEM. */
int generation_json_path(const char *root_dir, const char *name, uint64_t number, char **ret);

/* Opens generation @number of image @name, current or old, as image_open() does. @ret has the image's own name and the
 * path where the tree is now. -ENOENT: there is no such generation. */
int generation_open(const char *root_dir, const char *name, uint64_t number, Image **ret);

/* Splits `NAME@NUMBER`. *ret_name is to be freed. 0; -EINVAL: @reference has another form; or -ENOMEM. */
int generation_split(const char *reference, char **ret_name, uint64_t *ret_number);

/* Opens what `image:` of a job names: the image of exactly that name; if there is none and @reference is `NAME@NUMBER`,
 * that generation of image NAME. Returns as image_open(). */
int generation_open_reference(const char *root_dir, const char *reference, Image **ret);

/* The same with the image's shared lock (image/lock.h): nobody removes this tree while @ret is open. -EBUSY: another process
 * is removing it. */
int generation_hold_reference(const char *root_dir, const char *reference, Image **ret);

/* Opens the tree that a container was planned with: generation @number of the image with absolute path @path, which may
 * be an old one by now. 0 stands for the tree at @path. @handle is of file_handle_text(): it finds the tree also after
 * the image was renamed, and takes no other tree for it; NULL: there is none. Where the kernel opens nothing by a
 * handle, as in some containers, an image that was renamed is not found. Returns a descriptor of its top directory,
 * opened in the present mount namespace and with the image's shared lock, or -errno; -EBUSY as above. */
int generation_hold_tree(const char *path, uint64_t number, const char *handle);

/* Lists the numbers of the old generations of image @name in ascending order. *ret is to be freed; NULL: there are none. 0
 * or -errno. */
int generation_list_old(const char *root_dir, const char *name, uint64_t **ret, size_t *ret_n);

/* Finds the old generation of image @name that was current most recently, among those with numbers below @current (0: among
 * all). 0; -ENOENT: there is none; or another -errno. */
int generation_previous(const char *root_dir, const char *name, uint64_t current, uint64_t *ret);
