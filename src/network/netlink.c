/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sends requests to the kernel's network by libmnl, which is loaded here and nowhere else. The other files of this
 * folder say what is to be done. Nothing here may wait for anything but the kernel. */

#include "network/netlink.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <string.h>

#include "base/library.h"

#define FUNCTIONS(X)                  \
        X(mnl_socket_open2)           \
        X(mnl_socket_bind)            \
        X(mnl_socket_close)           \
        X(mnl_socket_sendto)          \
        X(mnl_socket_recvfrom)        \
        X(mnl_nlmsg_put_header)       \
        X(mnl_nlmsg_put_extra_header) \
        X(mnl_attr_put_check)         \
        X(mnl_attr_nest_start_check)  \
        X(mnl_attr_nest_end)          \
        X(mnl_nlmsg_ok)               \
        X(mnl_nlmsg_next)             \
        X(mnl_nlmsg_get_payload)      \
        X(mnl_nlmsg_get_payload_len)  \
        X(mnl_attr_parse_payload)     \
        X(mnl_attr_get_type)          \
        X(mnl_attr_get_payload)       \
        X(mnl_attr_get_payload_len)

static const char *const function_names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

/* Loaded once, for every caller, and never unloaded. */
static struct { FUNCTIONS(LIBRARY_POINTER) } mnl;

/* The largest size of a message without its attributes. */
#define HEADER_BYTES_MAX 64

static int load(void) {
        if (mnl.mnl_socket_open2)
                return 0;
        return library_load(LIBRARY_MNL, function_names, (void **) &mnl) < 0 ? -ELIBACC : 0;
}

int netlink_open(int family, NetlinkSocket **ret) {
        int r = load();
        if (r < 0)
                return r;
        struct mnl_socket *socket = mnl.mnl_socket_open2(family, SOCK_CLOEXEC);
        if (!socket)
                return -errno;
        if (mnl.mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
                r = -errno;
                (void) mnl.mnl_socket_close(socket);
                return r;
        }
        *ret = (NetlinkSocket *) socket;
        return 0;
}

void netlink_close(NetlinkSocket *socket) {
        (void) mnl.mnl_socket_close((struct mnl_socket *) socket);
}

/* Completes the message that was begun last. */
static void end_message(NetlinkBatch *batch) {
        if (batch->message)
                batch->used += NLMSG_ALIGN(batch->message->nlmsg_len);
        batch->message = NULL;
}

void netlink_begin(NetlinkBatch *batch, unsigned type, unsigned flags, const void *header, size_t header_size,
                   const char *what) {
        end_message(batch);
        if (batch->n == NETLINK_BATCH_MESSAGES || sizeof(batch->buffer) - batch->used < HEADER_BYTES_MAX || load() < 0)
                batch->overflow = true;
        if (batch->overflow)
                return;
        batch->message = mnl.mnl_nlmsg_put_header(batch->buffer + batch->used);
        batch->message->nlmsg_type = (uint16_t) type;
        batch->message->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | NLM_F_ACK | flags);
        batch->message->nlmsg_seq = batch->n;
        memcpy(mnl.mnl_nlmsg_put_extra_header(batch->message, header_size), header, header_size);
        batch->what[batch->n++] = what;
}

static size_t room(const NetlinkBatch *batch) {
        return sizeof(batch->buffer) - batch->used;
}

void netlink_put(NetlinkBatch *batch, unsigned attribute, const void *data, size_t size) {
        if (!batch->message || !mnl.mnl_attr_put_check(batch->message, room(batch), (uint16_t) attribute, size, data))
                batch->overflow = true;
}

void netlink_put_u8(NetlinkBatch *batch, unsigned attribute, uint8_t value) {
        netlink_put(batch, attribute, &value, sizeof(value));
}

void netlink_put_u32(NetlinkBatch *batch, unsigned attribute, uint32_t value) {
        netlink_put(batch, attribute, &value, sizeof(value));
}

void netlink_put_string(NetlinkBatch *batch, unsigned attribute, const char *value) {
        netlink_put(batch, attribute, value, strlen(value) + 1);
}

void netlink_put_header(NetlinkBatch *batch, const void *header, size_t size) {
        if (!batch->message || room(batch) < batch->message->nlmsg_len + size) {
                batch->overflow = true;
                return;
        }
        memcpy(mnl.mnl_nlmsg_put_extra_header(batch->message, size), header, size);
}

struct nlattr *netlink_nest(NetlinkBatch *batch, unsigned attribute) {
        struct nlattr *nest = batch->message ?
                                      mnl.mnl_attr_nest_start_check(batch->message, room(batch), (uint16_t) attribute) :
                                      NULL;
        if (!nest)
                batch->overflow = true;
        return nest;
}

void netlink_nest_end(NetlinkBatch *batch, struct nlattr *nest) {
        if (nest && batch->message)
                mnl.mnl_attr_nest_end(batch->message, nest);
}

/* Sends the batch. 0 or -errno. The batch is empty afterwards, but keeps the descriptions of its messages. */
static int send_all(NetlinkSocket *socket, NetlinkBatch *batch) {
        end_message(batch);
        size_t used = batch->used;
        bool overflow = batch->overflow;

        batch->used = 0;
        batch->n = 0;
        batch->overflow = false;
        if (overflow)
                return -ENOBUFS;
        return mnl.mnl_socket_sendto((struct mnl_socket *) socket, batch->buffer, used) < 0 ? -errno : 0;
}

/* Waits for the next answers. Returns their size in bytes, or -errno. */
static int receive(NetlinkSocket *socket, char buffer[static NETLINK_BATCH_BYTES]) {
        ssize_t size;

        do
                size = mnl.mnl_socket_recvfrom((struct mnl_socket *) socket, buffer, NETLINK_BATCH_BYTES);
        while (size < 0 && errno == EINTR);
        return size < 0 ? -errno : (int) size;
}

int netlink_run(NetlinkSocket *socket, NetlinkBatch *batch, const char **reterr_what) {
        alignas(NLMSG_ALIGNTO) char buffer[NETLINK_BATCH_BYTES];
        unsigned n = batch->n, answered = 0;
        int result = 0;

        *reterr_what = "send requests to the kernel";
        int r = send_all(socket, batch);
        if (r < 0)
                return r;
        while (answered < n) {
                int left = receive(socket, buffer);
                if (left < 0)
                        return left;

                struct nlmsghdr *message = (struct nlmsghdr *) buffer;
                for (; mnl.mnl_nlmsg_ok(message, left); message = mnl.mnl_nlmsg_next(message, &left)) {
                        const struct nlmsgerr *error = mnl.mnl_nlmsg_get_payload(message);

                        if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq >= n)
                                continue;
                        answered++;
                        if (error->error < 0 && result == 0) {
                                result = error->error;
                                *reterr_what = batch->what[message->nlmsg_seq];
                        }
                }
        }
        return result;
}

typedef struct Parse {
        NetlinkAttribute attribute;
        void *userdata;
} Parse;

static int parse_attribute(const struct nlattr *attribute, void *userdata) {
        const Parse *parse = userdata;

        parse->attribute(mnl.mnl_attr_get_type(attribute), mnl.mnl_attr_get_payload(attribute),
                         mnl.mnl_attr_get_payload_len(attribute), parse->userdata);
        return MNL_CB_OK;
}

void netlink_parse(const void *attributes, size_t size, NetlinkAttribute attribute, void *userdata) {
        Parse parse = { .attribute = attribute, .userdata = userdata };

        (void) mnl.mnl_attr_parse_payload(attributes, size, parse_attribute, &parse);
}

int netlink_list(NetlinkSocket *socket, NetlinkBatch *batch, size_t header_size, NetlinkAnswer parse, void *userdata) {
        alignas(NLMSG_ALIGNTO) char buffer[NETLINK_BATCH_BYTES];

        int r = send_all(socket, batch);
        if (r < 0)
                return r;
        for (;;) {
                int left = receive(socket, buffer);
                if (left < 0)
                        return left;

                struct nlmsghdr *message = (struct nlmsghdr *) buffer;
                for (; mnl.mnl_nlmsg_ok(message, left); message = mnl.mnl_nlmsg_next(message, &left)) {
                        const char *payload = mnl.mnl_nlmsg_get_payload(message);
                        size_t length = mnl.mnl_nlmsg_get_payload_len(message);

                        /* The answers come first, then a message with the result of the request, or the end of the list. */
                        if (message->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (message->nlmsg_type == NLMSG_ERROR)
                                return ((const struct nlmsgerr *) payload)->error;
                        if (length < NLMSG_ALIGN(header_size))
                                return -EBADMSG;
                        parse(payload, payload + NLMSG_ALIGN(header_size), length - NLMSG_ALIGN(header_size), userdata);
                }
        }
}

typedef struct Question {
        size_t header_size;
        void *header;
        NetlinkAttribute attribute;
        void *userdata;
} Question;

static void take_answer(const void *header, const void *attributes, size_t size, void *userdata) {
        const Question *question = userdata;

        memcpy(question->header, header, question->header_size);
        netlink_parse(attributes, size, question->attribute, question->userdata);
}

int netlink_ask(NetlinkSocket *socket, NetlinkBatch *batch, size_t header_size, void *ret_header,
                NetlinkAttribute attribute, void *userdata) {
        Question question = {
                .header_size = header_size, .header = ret_header, .attribute = attribute, .userdata = userdata
        };

        return netlink_list(socket, batch, header_size, take_answer, &question);
}
