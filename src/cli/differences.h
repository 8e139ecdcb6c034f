/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What differs between two trees, as a table or JSON on standard output. */
typedef struct DifferencesRequest {
        int old_fd, new_fd;
        const char *old_name, *new_name; /* for messages */
        uint32_t new_owner_base;         /* as in compare_trees() */
        bool files;                      /* not only packages */
        bool json;
        bool (*is_ours)(const char *path); /* a file that differs without anybody having changed it; NULL: none */
} DifferencesRequest;

/* Returns how many there are, or -errno, logged. */
int differences_print_logged(const DifferencesRequest *request);
