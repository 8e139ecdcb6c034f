/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <linux/netlink.h>
#include <stdalign.h>

#include "base/macro.h"

/* Requests to the kernel's network, several at once (rtnetlink(7)), by libmnl. */

/* A socket that speaks to the network namespace in which it was opened, wherever its user is later. */
typedef struct NetlinkSocket NetlinkSocket;

/* @family: NETLINK_ROUTE or NETLINK_NETFILTER. 0; -ELIBACC: libmnl is not installed; or -errno. */
int netlink_open(int family, NetlinkSocket **ret);
void netlink_close(NetlinkSocket *socket);
DEFINE_CLEANUP(NetlinkSocket *, netlink_close)
#define _cleanup_netlink_ _cleanup_(netlink_closep)

#define NETLINK_BATCH_BYTES 8192
#define NETLINK_BATCH_MESSAGES 48

/* Requests that are sent together. All zero is empty. Each function below adds to the message that was begun last. What
 * does not fit any more makes netlink_run() fail with -ENOBUFS, before anything is sent. */
typedef struct NetlinkBatch {
        alignas(NLMSG_ALIGNTO) char buffer[NETLINK_BATCH_BYTES];
        size_t used;
        struct nlmsghdr *message;
        unsigned n;
        const char *what[NETLINK_BATCH_MESSAGES]; /* what each message does; strings of the callers */
        bool overflow;
} NetlinkBatch;

/* Begins a message of @type with @flags besides NLM_F_REQUEST and NLM_F_ACK. @what completes "cannot ...". @header, of
 * @header_size bytes, is what the type begins with (struct ifinfomsg and so on). */
void netlink_begin(NetlinkBatch *batch, unsigned type, unsigned flags, const void *header, size_t header_size,
                   const char *what);
void netlink_put(NetlinkBatch *batch, unsigned attribute, const void *data, size_t size);
void netlink_put_u8(NetlinkBatch *batch, unsigned attribute, uint8_t value);
void netlink_put_u32(NetlinkBatch *batch, unsigned attribute, uint32_t value);
void netlink_put_string(NetlinkBatch *batch, unsigned attribute, const char *value);
/* What an attribute begins with before others follow in it; not an attribute itself. */
void netlink_put_header(NetlinkBatch *batch, const void *header, size_t size);
/* An attribute with others in it: what is put until netlink_nest_end(). */
struct nlattr *netlink_nest(NetlinkBatch *batch, unsigned attribute);
void netlink_nest_end(NetlinkBatch *batch, struct nlattr *nest);

/* Sends all messages and waits for the kernel's answers. The kernel carries all of them out, also after one that failed.
 * Returns 0, or the first failure as -errno, with *reterr_what set to what could not be done. The batch is empty then. */
int netlink_run(NetlinkSocket *socket, NetlinkBatch *batch, const char **reterr_what);

/* Sends the only message of @batch, which asks for something, and gives the answer to @parse: its header, and each of its
 * attributes. Returns 0 or -errno. */
typedef void (*NetlinkAttribute)(unsigned attribute, const void *data, size_t size, void *userdata);
int netlink_ask(NetlinkSocket *socket, NetlinkBatch *batch, size_t header_size, void *ret_header,
                NetlinkAttribute parse, void *userdata);
