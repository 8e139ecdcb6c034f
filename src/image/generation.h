/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/image.h"

/* An image has generations, numbered from 1. The current one is the tree `<root_dir>/NAME`; those before it wait in
 * `<root_dir>/.generations/NAME/<number>/`. Beside them is `<number>.json` with what is known of each, the current one
 * too. A tree bears its number in an extended attribute of its top directory, so that number and tree stay together
 * whatever the tree is called at the moment. A tree without is one that somebody put there by hand: number 0.
 *
 * Who changes any of this for image NAME holds the lock of its staging directory (image/staging.h). */
#define GENERATIONS_DIRECTORY ".generations"

/* How many generations of an image are kept, with the current one, where nobody says how many. */
#define GENERATIONS_KEPT 2U

/* What is known of one generation. */
typedef struct Generation {
        uint64_t number;
        uint64_t created_usec;   /* wall clock: when the first generation was made that this one descends from, */
        uint64_t updated_usec;   /* when this one was made, */
        uint64_t published_usec; /* and when it became the current one, the last time */
        uint64_t asked_usec;     /* when the registry was asked for it, of images of registries */
        uint64_t keep;       /* generations to keep while this one is current, itself included; 0: GENERATIONS_KEPT */
        uint64_t size_bytes; /* on disk, of images of registries; 0: not known */
        char *source;        /* such as "suite bookworm"; all of these may be NULL */
        char *digest;        /* of what the source had, or of what was said about it (image/source.h) */
        char *definition;    /* file */
        char **env;          /* of an OCI image's configuration: NAME=VALUE, */
        char *working_dir;
        char *user;
        char **entrypoint; /* the same, for services, as all that follow: see source/oci-config.h */
        char **command;
        char **ports;
        char **volumes;
        bool has_command; /* entrypoint and what follows it are known; older versions of this program did not look */
} Generation;

void generation_free(Generation *generation);
DEFINE_CLEANUP(Generation *, generation_free)
#define _cleanup_generation_ _cleanup_(generation_freep)

/* What is known of generation @number of image @name, for generation_free(). 0; -ENOENT when nothing is; -EBADMSG when
 * it cannot be read; or -errno. */
int generation_load(const char *root_dir, const char *name, uint64_t number, Generation **ret);

/* The same for the image that is there now, which may have been made by hand: then everything but the number (0) is
 * unknown. 0 or -errno; never -ENOENT. */
int generation_load_of(const Image *image, Generation **ret);

/* The path of the file with what is known of generation @number of image @name, whether it is there or not. *ret is to be
 * freed. 0 or -ENOMEM. */
int generation_json_path(const char *root_dir, const char *name, uint64_t number, char **ret);

/* Opens generation @number of image @name, current or old: as image_open(), with the image's own name and the path where
 * the tree is at the moment. -ENOENT when there is none of that number. */
int generation_open(const char *root_dir, const char *name, uint64_t number, Image **ret);

/* Splits `NAME@NUMBER`: the name goes to @ret_name, to be freed. 0; -EINVAL when @reference is not of that form; or
 * -ENOMEM. */
int generation_split(const char *reference, char **ret_name, uint64_t *ret_number);

/* Opens what `image:` of a job names: the image of exactly that name, else, for `NAME@NUMBER`, that generation of image
 * NAME. As image_open(). */
int generation_open_reference(const char *root_dir, const char *reference, Image **ret);

/* The same, and takes the image's shared lock (image/lock.h), which holds as long as @ret is open: nobody removes this
 * tree meanwhile. -EBUSY when it stays locked by who removes it. */
int generation_hold_reference(const char *root_dir, const char *reference, Image **ret);

/* The top directory of the tree that a machine was planned with, wherever it is by now: image @path (absolute), and there
 * generation @number. For 0 any that is found at @path will do. Returns the descriptor, opened in the present mount
 * namespace and with the image's shared lock, or -errno; -EBUSY as above. */
int generation_hold_tree(const char *path, uint64_t number);

/* The numbers of the old trees of image @name, ascending; the current one is not among them. *ret is to be freed. 0 or
 * -errno; none is success with *ret_n 0 and *ret NULL. */
int generation_list_old(const char *root_dir, const char *name, uint64_t **ret, size_t *ret_n);

/* The old generation of image @name that was current last, of those with numbers below @current (0: of all). 0; -ENOENT
 * when there is none; or -errno. */
int generation_previous(const char *root_dir, const char *name, uint64_t current, uint64_t *ret);
