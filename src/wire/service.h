/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The one program that a service's container runs. The supervisor passes it to the agent in a sealed memory file,
 * because others on the host can read the arguments and the environment of the container's first process. */
typedef struct WireService {
        char *user;         /* USER[:GROUP], as an image has it; NULL or "": root */
        char *directory;    /* where it starts, made if need be; NULL or "": home, else / */
        char **directories; /* made if they are missing. Each list may be NULL for none, but is not when parsed */
        char **argv;        /* at least one item */
        char **environment; /* "NAME=VALUE" items, over the agent's own */
} WireService;

void wire_service_done(WireService *service);
#define _cleanup_wire_service_ _cleanup_(wire_service_done)

/* Writes @service into a buffer of *ret_size bytes. *ret is to be erased and freed: it may have secrets. 0 or
 * -ENOMEM. */
int wire_format_service(const WireService *service, char **ret, size_t *ret_size);

/* Reads what wire_format_service() has written. 0; -EBADMSG: the data has another form; or -ENOMEM. */
int wire_parse_service(const char *data, size_t size, WireService *ret);
