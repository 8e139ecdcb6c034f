/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/fd.h"
#include "base/string.h"
#include "failing.h"
#include "loopback.h"
#include "machine/segment-file.h"
#include "network/hub.h"
#include "network/nat.h"
#include "network/netns.h"

/* Hubs and machines that are nothing but network namespaces. The host is one, too. */

static Hub open_hub(bool uplink) {
        Problem problem = { 0 };
        Hub hub = HUB_NONE;

        int r = hub_open("10.99.0.0/16", "holder", uplink, &hub, &problem);
        if (r < 0)
                fail_msg("%s", problem.text);
        return hub;
}

/* Does the kernel send by it already? */
static bool is_running(const char *name) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = { 0 };

        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        return ioctl(fd, SIOCGIFFLAGS, &request) >= 0 && (request.ifr_flags & IFF_RUNNING);
}

/* In the host's namespace before and after. */
static int new_machine(Hub *hub, unsigned number) {
        Problem problem = { 0 };
        _cleanup_close_ int host_fd = netns_open_own();

        assert_int_equal(netns_new(), 0);
        int fd = netns_open_own();
        assert_int_equal(netns_enter(host_fd), 0);
        int r = hub_plug(hub, fd, number, &problem);
        if (r < 0)
                fail_msg("%s", problem.text);
        /* Who asks for an address that nobody has need not wait long. */
        assert_int_equal(netns_enter(fd), 0);
        assert_true(is_running("eth0"));
        assert_int_equal(netns_set("ipv4/neigh/eth0/retrans_time_ms", "20"), 0);
        assert_int_equal(netns_set("ipv6/neigh/eth0/retrans_time_ms", "20"), 0);
        assert_int_equal(netns_enter(host_fd), 0);
        _cleanup_close_ int now_fd = netns_open_own();
        assert_true(netns_same(now_fd, host_fd));
        return fd;
}

static struct sockaddr_storage address_of(const Hub *hub, int family, unsigned number) {
        IpNetwork address = block_address(&hub->block, family, number, true);
        struct sockaddr_storage storage = { .ss_family = (sa_family_t) family };

        if (family == AF_INET) {
                memcpy(&((struct sockaddr_in *) &storage)->sin_addr, address.address, 4);
                ((struct sockaddr_in *) &storage)->sin_port = htons(5432);
        } else {
                memcpy(&((struct sockaddr_in6 *) &storage)->sin6_addr, address.address, 16);
                ((struct sockaddr_in6 *) &storage)->sin6_port = htons(5432);
        }
        return storage;
}

static int socket_in(int netns_fd, int family) {
        _cleanup_close_ int host_fd = netns_open_own();

        assert_int_equal(netns_enter(netns_fd), 0);
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(netns_enter(host_fd), 0);
        assert_true(fd >= 0);
        return fd;
}

/* Machine 3 listens on its own address; who is in namespace @from connects: 0 or -errno. */
static int connect_to_three(const Hub *hub, int family, int from, int three) {
        struct sockaddr_storage address = address_of(hub, family, 3);
        _cleanup_close_ int server = socket_in(three, family), client = socket_in(from, family);

        assert_int_equal(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
        assert_int_equal(bind(server, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(server, 1), 0);
        return connect(client, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
}

/* The same; a bridge needs a moment to see that a machine's link is up. */
static int reach_three(const Hub *hub, int family, int from, int three) {
        int r = -EHOSTUNREACH;

        for (unsigned i = 0; i < 100 && r == -EHOSTUNREACH; i++)
                r = connect_to_three(hub, family, from, three);
        return r;
}

/* Machines of one hub reach each other; those of two hubs with the same addresses do not know of each other. */
static void test_segment(_unused_ void **state) {
        _cleanup_hub_ Hub hub = open_hub(false), other = open_hub(false);
        _cleanup_close_ int two = new_machine(&hub, 2), three = new_machine(&hub, 3), stranger = new_machine(&other, 2);

        for (unsigned i = 0; i < 2; i++) {
                int family = i == 0 ? AF_INET : AF_INET6;

                assert_int_equal(reach_three(&hub, family, two, three), 0);
                assert_int_equal(connect_to_three(&hub, family, stranger, three), -EHOSTUNREACH);
        }
}

/* Another process finds the hub by the file, and plugs its machine in. */
static void test_join(void **state) {
        _cleanup_hub_ Hub hub = open_hub(false), joined = HUB_NONE;
        MachineDirectory directory = { .path = *state };
        Problem problem = { 0 };

        _cleanup_close_ int dir_fd = directory.fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(segment_file_join(&directory, 0, &joined, &problem), -ETIMEDOUT);
        assert_int_equal(segment_file_save(&directory, &hub), 0);
        assert_int_equal(segment_file_join(&directory, 0, &joined, &problem), 0);
        assert_true(netns_same(joined.netns_fd, hub.netns_fd));
        assert_int_equal(joined.ipv6, hub.ipv6);
        _cleanup_close_ int two = new_machine(&hub, 2), three = new_machine(&joined, 3);
        assert_int_equal(reach_three(&hub, AF_INET, two, three), 0);
        assert_int_equal(reach_three(&hub, AF_INET6, two, three), 0);
}

/* What the file tells of may be gone, or be something else by now. */
static void test_join_nothing(void **state) {
        static const char *const files[] = {
                "{}",
                "{\"pid\": 1, \"start\": 77, \"fd\": 0, \"network\": \"10.99.0.0/26\", \"network6\": \"fd00::/64\", "
                "\"mtu\": 1500, \"ipv6\": true}",
                "{\"pid\": 4194305, \"start\": 77, \"fd\": 3, \"network\": \"10.99.0.0/26\", \"network6\": \"fd00::/64\", "
                "\"mtu\": 1500, \"ipv6\": true}",
                "{\"pid\": 1, \"start\": 77, \"fd\": 0, \"network\": \"10.99.0.0\", \"network6\": \"x\", \"mtu\": 1500, "
                "\"ipv6\": true}",
        };
        MachineDirectory directory = { .path = *state };
        Problem problem = { 0 };
        _cleanup_hub_ Hub joined = HUB_NONE;

        _cleanup_close_ int dir_fd = directory.fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                assert_int_equal(machine_file_write(&directory, MACHINE_FILE_NETWORK, files[i]), 0);
                assert_row(segment_file_join(&directory, 0, &joined, &problem) < 0, i, files[i]);
                assert_row(joined.netns_fd < 0, i, files[i]);
        }
        assert_int_equal(
                hub_join(open("/dev/null", O_RDONLY | O_CLOEXEC), &joined.block, true, 1500, &joined, &problem),
                -EINVAL);
}

/* A block belongs to one hub, until that is gone. */
static void test_blocks(_unused_ void **state) {
        Problem problem = { 0 };
        Hub one = HUB_NONE;

        int r = hub_open("10.99.7.64/26", "holder", true, &one, &problem);
        if (r < 0)
                fail_msg("%s", problem.text);
        assert_true(is_running("nspr-0a630740"));
        _cleanup_hub_ Hub two = HUB_NONE;
        assert_int_equal(hub_open("10.99.7.64/26", "holder", true, &two, &problem), -EBUSY);
        hub_done(&one);
        while (if_nametoindex("nspr-0a630740") > 0) /* the kernel takes its time */
                (void) poll(NULL, 0, 1);
        assert_int_equal(hub_open("10.99.7.64/26", "holder", true, &two, &problem), 0);
}

static int bridges_fd = -EBADF;

static void remove_bridge(_unused_ int number) {
        (void) ioctl(bridges_fd, SIOCBRDELBR, "nspr-0a630800");
}

/* The kernel still has the interface of a job that has ended, here a bridge in its place: one waits until it is gone. */
static void test_block_of_the_past(_unused_ void **state) {
        _cleanup_close_ int fd = bridges_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sigaction before, action = { .sa_handler = remove_bridge, .sa_flags = SA_RESTART };
        const struct itimerval timer = { .it_value.tv_usec = 50000 }; /* within this process: before the time is over */
        _cleanup_hub_ Hub hub = HUB_NONE;
        Problem problem = { 0 };

        assert_int_equal(ioctl(fd, SIOCBRADDBR, "nspr-0a630800"), 0);
        assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
        int r = hub_open("10.99.8.0/26", "holder", true, &hub, &problem);
        assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
        if (r < 0)
                fail_msg("%s", problem.text);
}

/* What is no network namespace of a machine's own is not touched. */
static void test_plug_nothing(_unused_ void **state) {
        _cleanup_hub_ Hub hub = open_hub(false);
        _cleanup_close_ int host_fd = netns_open_own(), null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
                            user_fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        int fds[] = { host_fd, null_fd, user_fd, hub.netns_fd };
        Problem problem = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                assert_row(hub_plug(&hub, fds[i], 2, &problem) == -EINVAL, i, "");
}

/* With forwarding, the host would lose routes from router advertisements: it is not switched on where an interface may have
 * been left out. */
static void test_keep_announced_routes(_unused_ void **state) {
        static const char forwarding[] = "/proc/sys/net/" NETNS_FORWARD6;
        _cleanup_free_ char *before = NULL, *after = NULL;
        _cleanup_hub_ Hub hub = open_hub(false);
        Problem problem = { 0 };

        assert_true(hub.ipv6);
        if (netns_set(NETNS_FORWARD4, "1") < 0 || file_read_at(AT_FDCWD, forwarding, 64, &before, NULL) < 0)
                skip();
        assert_string_equal(before, "0\n");
        failing_readdir(0, EIO);
        (void) nat_connect(&hub, &problem); /* fails: nothing connects the hub with the host */
        failing_readdir(0, 0);
        assert_false(hub.ipv6);
        assert_int_equal(file_read_at(AT_FDCWD, forwarding, 64, &after, NULL), 0);
        assert_string_equal(after, "0\n");
}

static const char *lacks(void) {
        return geteuid() != 0 || netns_new() < 0 || switch_loopback_on() < 0 ? "root, and network namespaces" : NULL;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment),
        cmocka_unit_test_setup_teardown(test_join, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_join_nothing, setup_directory, teardown_directory),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_block_of_the_past),
        cmocka_unit_test(test_plug_nothing),
        cmocka_unit_test(test_keep_announced_routes),
};
UNIT_FILE(tests, .lacks = lacks);
