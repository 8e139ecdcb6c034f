/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The one program that a container is for, as the supervisor tells the agent: in a sealed memory file, because
 * arguments of the container's first process, and its environment, can be read by others on the host. */
typedef struct WireService {
        char *user;         /* USER[:GROUP], as an image has it; NULL or "": root */
        char *directory;    /* where it starts, made if need be; NULL or "": home, else / */
        char **directories; /* made if they are not there; may be NULL, as the lists below when parsed */
        char **argv;        /* at least one */
        char **environment; /* "NAME=VALUE"s over the agent's own */
} WireService;

void wire_service_done(WireService *service);
#define _cleanup_wire_service_ _cleanup_(wire_service_done)

/* *ret is to be freed, and erased, as it may have secrets. 0 or -ENOMEM. */
int wire_format_service(const WireService *service, char **ret, size_t *ret_size);

/* 0; -EBADMSG for what wire_format_service() did not make; or -ENOMEM. */
int wire_parse_service(const char *data, size_t size, WireService *ret);
