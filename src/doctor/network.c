/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: whether jobs can have private networks, and how they get out. The trial makes what each job
 * makes. Nothing of it is left but the host's table of nftables, which is the same for all jobs. */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "doctor/check.h"
#include "network/backend.h"
#include "network/nat.h"
#include "network/pasta.h"

static bool needs_private_network(const Settings *settings) {
        return settings->network == NETWORK_PRIVATE;
}

static CheckResult check_forwarding(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *missing = nat_forwarding_missing();

        if (!missing || !needs_private_network(invocation->settings))
                return CHECK_OK;
        return check_say(CHECK_NOTE, ret_detail, "%s is off: the first job switches it on", missing);
}

/* What a job would find. */
static int try_way_out(const Settings *settings, Problem *reterr_problem) {
        _cleanup_hub_ Hub hub = HUB_NONE;

        int r = hub_open(settings->network_pool, "doctor", true, &hub, reterr_problem);
        if (r < 0)
                return r;
        r = nat_connect(&hub, reterr_problem);
        if (r == 0)
                backend_forget_blocked(&hub);
        return r;
}

static CheckResult check_way_out(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const Settings *settings = invocation->settings;
        Problem problem = { 0 };

        if (!needs_private_network(settings))
                return check_say(CHECK_OK, ret_detail, "not needed");
        if (settings->network_backend == WAY_OUT_PASTA)
                return pasta_is_installed() ? check_say(CHECK_OK, ret_detail, "pasta") :
                                              check_say(CHECK_MISSING, ret_detail, "pasta is not installed");
        if (geteuid() != 0)
                return check_errno(-EPERM, ret_detail);
        if (nat_forwarding_missing())
                return check_say(CHECK_OK, ret_detail, "not tried before packets are forwarded");
        int r = try_way_out(settings, &problem);
        if (r == 0)
                return check_say(CHECK_OK, ret_detail, "the host's kernel");
        if (settings->network_backend == WAY_OUT_AUTO && pasta_is_installed())
                return check_say(CHECK_NOTE, ret_detail, "pasta, which is slower: %s", problem.text);
        return check_say(CHECK_MISSING, ret_detail, "%s", problem.text);
}

/* Each job with a way out by NAT has one, as long as it runs. */
static CheckResult check_addresses(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *pool = invocation->settings->network_pool;
        _cleanup_close_ int fd = open("/sys/class/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_strv_ char **names = NULL;
        IpNetwork network;
        unsigned n = 0;

        if (!needs_private_network(invocation->settings))
                return check_say(CHECK_OK, ret_detail, "not needed");
        int r = fd < 0 ? -errno : directory_names(fd, &names);
        if (r < 0)
                return check_say(CHECK_NOTE, ret_detail, "%s", strerror(-r));
        for (char **name = names; name && *name; name++)
                n += startswith(*name, HUB_HOST_INTERFACE_PREFIX) != NULL;
        if (ip_network_parse(pool, &network) < 0) /* auto */
                return check_say(CHECK_OK, ret_detail, "%u in use, of a network that the host does not use", n);
        uint32_t all = block_count(&network);
        return check_say(n < all ? CHECK_OK : CHECK_NOTE, ret_detail, "%u of %" PRIu32 " in use, of %s", n, all, pool);
}

static CheckResult check_services(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        if (invocation->settings->network == NETWORK_HOST)
                return check_say(CHECK_NOTE, ret_detail, "with 'network: host', jobs with services fail");
        return check_say(CHECK_OK, ret_detail, "in the job's own network%s",
                         invocation->settings->network == NETWORK_NONE ? ", which has no way out" : "");
}

const Check doctor_network_checks[] = {
        { "forwarding of packets", check_forwarding, check_optional, "jobs' networks need it", NULL },
        /* Before the next one, whose trial takes a block for a moment. */
        { "addresses of jobs", check_addresses, check_optional, "each job needs a block of 64",
          "set network_pool to a larger network" },
        { "way out of private networks", check_way_out, needs_private_network, "jobs reach the network by it",
          "install passt, or set network: host" },
        { "services of jobs", check_services, check_optional, "services have networks of their own",
          "set network: private or none" },
        { 0 },
};
