/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes connections from the kernel's table of those that it tracks (nf_conntrack). nat.c calls this when a job has
 * ended. It must not touch a connection that somebody else opened: the table is the host's. */

#include "network/connections.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "network/netlink.h"

#define TYPE(message) (NFNL_SUBSYS_CTNETLINK << 8 | (message))

typedef struct Attribute {
        const void *data;
        size_t size;
} Attribute;

typedef struct Entry {
        Attribute tuple, address, id, zone;
} Entry;

typedef struct Forgetting {
        const IpNetwork *networks;
        size_t n_networks;
        NetlinkSocket *socket; /* for requests while the table is being read through another one */
        bool (*may_go_on)(const void *userdata);
        const void *userdata;
        NetlinkBatch batch;
        int error; /* the first one; none comes after -ECANCELED */
} Forgetting;

/* Removes what the batch has. What is gone meanwhile is as good. */
static void run(Forgetting *forgetting) {
        const char *what;

        if (forgetting->batch.n == 0 || forgetting->error == -ECANCELED)
                return;
        if (!forgetting->may_go_on(forgetting->userdata)) {
                forgetting->error = -ECANCELED;
                return;
        }
        int r = netlink_run(forgetting->socket, &forgetting->batch, &what);
        if (r < 0 && r != -ENOENT && forgetting->error == 0)
                forgetting->error = r;
}

static void forget(Forgetting *forgetting, int family, const Entry *entry) {
        const struct nfgenmsg request = { .nfgen_family = (uint8_t) family, .version = NFNETLINK_V0 };
        NetlinkBatch *batch = &forgetting->batch;

        if (batch->n == NETLINK_BATCH_MESSAGES)
                run(forgetting);
        if (forgetting->error == -ECANCELED)
                return;
        netlink_begin(batch, TYPE(IPCTNL_MSG_CT_DELETE), 0, &request, sizeof(request), "forget a connection");
        netlink_put(batch, NLA_F_NESTED | CTA_TUPLE_ORIG, entry->tuple.data, entry->tuple.size);
        netlink_put(batch, CTA_ID, entry->id.data, entry->id.size);
        if (entry->zone.data)
                netlink_put(batch, CTA_ZONE, entry->zone.data, entry->zone.size);
}

static void take_address(unsigned attribute, const void *data, size_t size, void *userdata) {
        if (attribute == CTA_IP_V4_SRC || attribute == CTA_IP_V6_SRC)
                *(Attribute *) userdata = (Attribute){ data, size };
}

static void take_ip(unsigned attribute, const void *data, size_t size, void *userdata) {
        if (attribute == CTA_TUPLE_IP)
                netlink_parse(data, size, take_address, userdata);
}

static void take_entry(unsigned attribute, const void *data, size_t size, void *userdata) {
        Entry *entry = userdata;

        if (attribute == CTA_TUPLE_ORIG) {
                entry->tuple = (Attribute){ data, size };
                netlink_parse(data, size, take_ip, &entry->address);
        } else if (attribute == CTA_ID)
                entry->id = (Attribute){ data, size };
        else if (attribute == CTA_ZONE)
                entry->zone = (Attribute){ data, size };
}

static void look_at(_unused_ const void *header, const void *attributes, size_t size, void *userdata) {
        Forgetting *forgetting = userdata;
        Entry entry = { 0 };

        netlink_parse(attributes, size, take_entry, &entry);
        if (!entry.id.data)
                return;
        for (size_t i = 0; i < forgetting->n_networks; i++) {
                const IpNetwork *network = forgetting->networks + i;

                if (entry.address.size == (network->family == AF_INET ? 4 : 16) &&
                    ip_network_has(network, entry.address.data))
                        forget(forgetting, network->family, &entry);
        }
}

int connections_forget(const IpNetwork *networks, size_t n, bool (*may_go_on)(const void *userdata),
                       const void *userdata) {
        const struct nfgenmsg request = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };
        _cleanup_netlink_ NetlinkSocket *table = NULL, *socket = NULL;
        NetlinkBatch batch = { 0 };

        int r = netlink_open(NETLINK_NETFILTER, &table);
        if (r < 0)
                return r;
        r = netlink_open(NETLINK_NETFILTER, &socket);
        if (r < 0)
                return r;
        Forgetting forgetting = {
                .networks = networks,
                .n_networks = n,
                .socket = socket,
                .may_go_on = may_go_on,
                .userdata = userdata,
        };
        netlink_begin(&batch, TYPE(IPCTNL_MSG_CT_GET), NLM_F_DUMP, &request, sizeof(request), "read connections");
        r = netlink_list(table, &batch, sizeof(request), look_at, &forgetting);
        run(&forgetting);
        return r < 0 ? r : forgetting.error;
}
