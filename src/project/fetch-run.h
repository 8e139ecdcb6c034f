/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/request.h"

/* What all parts of fetching share: what is known, programs that run for a limited time, entries of the cache. */

/* A project at one commit, as a repository in the cache. */
typedef struct FetchTree {
        struct FetchTree *next;
        PipelineRootKind kind;
        char *name, *ref; /* as asked for; the ref may be NULL */
        char *url;
        char *directory;
        char *commit, *version; /* the version may be NULL */
        char **paths;           /* NULL until they were listed */
        int error;              /* 0, or -errno: it cannot be used */
        char *why;              /* what failed, or NULL */
} FetchTree;

typedef struct Fetch {
        const char *host, *base;        /* of the project's own server: Remote.fqdn, Remote.base */
        const char *user, *password;    /* for it, as Remote has them */
        char *cache;                    /* the directory */
        bool online;                    /* fetch, instead of using only what is in the cache */
        bool prompts;                   /* git may ask for passwords at the terminal */
        void (*note)(const char *what); /* called before something is fetched; or NULL */
        FetchTree *trees;               /* that were asked for so far */
        char *why;
} Fetch;

#define FETCH_FILE_BYTES_MAX ((size_t) 4 * 1024 * 1024)

/* What a program that fetches is given. */
typedef struct FetchProgram {
        char *const *argv, *const *envp; /* NULL: our environment */
        int stdin_fd, stdout_fd;         /* negative: /dev/null */
        uint64_t file_bytes_max;         /* of any file that it writes */
} FetchProgram;

/* Says what failed, for *reterr_why. Returns @error. */
int fetch_fail(Fetch *fetch, int error, const char *format, ...) _printf_(3, 4);

/* Runs a program for a limited time. 0; -EREMOTEIO: it failed, and fetch->why has its own words; or another -errno. */
int fetch_run(Fetch *fetch, const FetchProgram *program);

/* The directory of an entry of the cache, for what @name names: a directory below @kind. With @make, it is made, and notes that
 * name. *ret is to be freed. 0; -EUNATCH: it is not there; -EEXIST: it is that of another name; or another -errno. */
int fetch_entry(const Fetch *fetch, const char *kind, const char *name, bool make, char **ret);

/* Replaces a file in such a directory. 0 or -errno. */
int fetch_write(const char *directory, const char *name, const void *data, size_t size);
/* Reads one, as file_read_at(). */
int fetch_load(const char *directory, const char *name, char **ret_data, size_t *ret_size);
