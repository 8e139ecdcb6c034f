/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <linux/netlink.h>
#include <stdalign.h>

#include "base/macro.h"

/* Requests to the kernel's network, several at once (rtnetlink(7)), by libmnl. */

/* A socket for the network namespace in which it was opened, also after the process has entered another one. */
typedef struct NetlinkSocket NetlinkSocket;

/* Opens a socket. @family: NETLINK_ROUTE or NETLINK_NETFILTER. 0 with @ret for netlink_close(); -ELIBACC: libmnl is not
 * installed; or another -errno. */
int netlink_open(int family, NetlinkSocket **ret);
void netlink_close(NetlinkSocket *socket);
DEFINE_CLEANUP(NetlinkSocket *, netlink_close)
#define _cleanup_netlink_ _cleanup_(netlink_closep)

#define NETLINK_BATCH_BYTES 8192
#define NETLINK_BATCH_MESSAGES 48

/* Requests that are sent together. A zeroed batch is empty. The netlink_put functions add to the message that was begun
 * last. If something does not fit, netlink_run() fails with -ENOBUFS before it sends anything. */
typedef struct NetlinkBatch {
        alignas(NLMSG_ALIGNTO) char buffer[NETLINK_BATCH_BYTES];
        size_t used;
        struct nlmsghdr *message;
        unsigned n;
        const char *what[NETLINK_BATCH_MESSAGES]; /* what each message does; the strings belong to the callers */
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
/* Adds data that is no attribute itself, with which an attribute begins before others follow in it. */
void netlink_put_header(NetlinkBatch *batch, const void *header, size_t size);
/* Begins an attribute that contains others: everything that is put until netlink_nest_end(). */
struct nlattr *netlink_nest(NetlinkBatch *batch, unsigned attribute);
void netlink_nest_end(NetlinkBatch *batch, struct nlattr *nest);

/* Sends all messages and waits for the kernel's answers. The kernel carries out all messages, also those after one that
 * failed. Returns 0, or the first failure as -errno with *reterr_what set to what could not be done. The batch is empty
 * afterwards. */
int netlink_run(NetlinkSocket *socket, NetlinkBatch *batch, const char **reterr_what);

/* netlink_ask() sends the only message of @batch, which asks for something. It copies the header of the answer,
 * @header_size bytes, to @ret_header, and calls @parse for each of its attributes. Returns 0 or -errno. */
typedef void (*NetlinkAttribute)(unsigned attribute, const void *data, size_t size, void *userdata);
int netlink_ask(NetlinkSocket *socket, NetlinkBatch *batch, size_t header_size, void *ret_header,
                NetlinkAttribute parse, void *userdata);

/* The same for a request with NLM_F_DUMP: calls @parse with the header and the attributes of each of many answers. Returns 0
 * or -errno. */
typedef void (*NetlinkAnswer)(const void *header, const void *attributes, size_t size, void *userdata);
int netlink_list(NetlinkSocket *socket, NetlinkBatch *batch, size_t header_size, NetlinkAnswer parse, void *userdata);

/* Calls @parse for each of the attributes in @attributes: an answer's, or those that another one contains. */
void netlink_parse(const void *attributes, size_t size, NetlinkAttribute parse, void *userdata);
