/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The job as GitLab sent it: the only thing about a job that the job itself cannot forge. */
typedef struct JobResponse {
        uint64_t id;
        char *image;      /* NULL: the job names none */
        char *token;      /* secret */
        char *repository; /* URL without user and password, or NULL */
        uint64_t project_id;
        uint64_t timeout_sec; /* 0: not said */
        size_t n_services;
} JobResponse;

/* Reads the file. 0; -ENOENT and other -errno from reading it; -EBADMSG when it is not a job, with a reason in
 * @ret_problem (256 bytes). */
int response_read(const char *path, JobResponse *ret, char ret_problem[static 256]);
/* The same from memory. */
int response_parse(const char *data, size_t size, JobResponse *ret, char ret_problem[static 256]);
void response_done(JobResponse *response);
#define _cleanup_response_ _cleanup_(response_done)
