/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "command/command.h"

/* What the [[runners]] section for GitLab Runner's config.toml depends on. */
typedef struct TomlRunner {
        const char *program;         /* absolute path of this program */
        char *const *global_options; /* that each call gets, or NULL */
        const char *name;            /* shown by GitLab */
        const char *image;           /* of jobs that name none, or NULL */
        const char *url, *token;     /* of GitLab; NULL: to be filled in by hand */
        /* Our settings, which override what the section says; NULL: it has the say. */
        const char *builds_dir;
        const char *cache_dir;
        uint64_t kill_timeout_usec, start_timeout_usec;
} TomlRunner;

/* Writes the section. 0; -EILSEQ with a part written when a string is not UTF-8; -ENOMEM. Errors of the stream are for
 * the caller to look for. */
int toml_write(FILE *stream, const TomlRunner *runner);

/* Writes the section for this call's program, configuration and settings: name, image, url and token are the caller's. 0,
 * or -errno, logged. */
int toml_write_own_logged(const Invocation *invocation, TomlRunner runner, FILE *stream);

/* Writes @text as a quoted TOML string. 0, or -EILSEQ with nothing written. */
int toml_write_string(FILE *stream, const char *text);
