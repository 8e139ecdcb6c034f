/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts pasta for a hub. `supervise` calls this where the host's own forwarding does not work. pasta must be root to
 * enter the hub; it drops all capabilities that it does not need, and filters its own system calls. It must end with
 * `supervise`. */

#include "network/pasta.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "network/nft.h"
#include "network/tracked.h"

#define PROGRAM "pasta"
#define NETNS_PATH "/run/hub"

/* pasta's own address and its gateway's, in the hub: addresses that no host has (RFC 7335). */
#define OWN_ADDRESS "192.0.0.2"
#define GATEWAY_ADDRESS "192.0.0.1"

#define START_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define POLL_USEC (5 * USEC_PER_MSEC)

/* pasta has sockets on the host for each connection, and a timer for some. It must have more than the rules let
 * through: without descriptors it is silent. */
#define DESCRIPTORS_PER_CONNECTION 2
#define DESCRIPTORS_MORE 1024

/* Containers send under pasta's address, because pasta knows only one. */
static const char format[] = "table inet nspawn-runner {\n"
                             "%s"
                             "  chain tracked {\n"
                             "    type filter hook forward priority 0; policy accept;\n"
                             "    iifname \"" HUB_BRIDGE "\" oifname \"" HUB_UPLINK "\" ct state new jump openings\n"
                             "  }\n"
                             "  chain source {\n"
                             "    type nat hook postrouting priority 100; policy accept;\n"
                             "    oifname \"" HUB_UPLINK "\" masquerade\n"
                             "  }\n"
                             "}\n";

bool pasta_is_installed(void) {
        return program_exists(PROGRAM);
}

/* Gives the namespace a path, in a mount namespace of our own. pasta enters a namespace only by a path that it can
 * still open after it has dropped capabilities. 0 or -errno. */
static int give_path(int netns_fd) {
        char source[64];

        snprintf(source, sizeof(source), "/proc/self/fd/%d", netns_fd);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k") < 0)
                return -errno;
        _cleanup_close_ int fd = open(NETNS_PATH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return fd < 0 || mount(source, NETNS_PATH, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

/* Runs pasta in a PID namespace whose first process ends with its parent, so that pasta ends then, too, whatever it
 * does. */
static int run_until_parent_ends(int netns_fd, const Tracked *share) {
        struct rlimit descriptors;
        char **argv = ARGV(PROGRAM, "--foreground", "--quiet", "--config-net", "--ipv4-only", "--netns-only", "--runas",
                           "0:0", "--no-map-gw", "--no-dhcp", "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns",
                           "none", "--udp-ns", "none", "--address", OWN_ADDRESS, "--netmask", "29", "--gateway",
                           GATEWAY_ADDRESS, "--ns-ifname", HUB_UPLINK, "--netns", NETNS_PATH);
        char **envp = ARGV(ENVIRONMENT_PLAIN);
        Spawn spawn = { .argv = argv, .envp = envp, .stdin_fd = -EBADF, .stdout_fd = -EBADF, .stderr_fd = -EBADF };

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return errno;
        int r = give_path(netns_fd);
        if (r < 0)
                return -r;
        if (close_range(3, ~0U, 0) < 0 || getrlimit(RLIMIT_NOFILE, &descriptors) < 0)
                return errno;
        descriptors.rlim_max = MIN(descriptors.rlim_max,
                                   DESCRIPTORS_PER_CONNECTION * share->connections + DESCRIPTORS_MORE);
        descriptors.rlim_cur = MIN(descriptors.rlim_cur, descriptors.rlim_max);
        if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
                return errno;
        r = process_run(&spawn);
        return r < 0 ? -r : r;
}

static pid_t start(int netns_fd, const Tracked *share) {
        pid_t pid = (pid_t) syscall(SYS_clone, (unsigned long) (CLONE_NEWPID | SIGCHLD), NULL, NULL, NULL, NULL);

        if (pid == 0)
                _exit(run_until_parent_ends(netns_fd, share));
        return pid < 0 ? -errno : pid;
}

static int wait_for_route(Hub *hub, pid_t pid) {
        uint64_t deadline = clock_deadline(START_TIMEOUT_USEC);
        IpNetwork somewhere;

        int r = ip_network_parse(HUB_NOWHERE, &somewhere);
        if (r < 0)
                return r;
        for (;;) {
                RouteAnswer answer;

                r = route_lookup(hub->link, &somewhere, &answer);
                if (r < 0)
                        return r;
                if (answer.type == RTN_UNICAST)
                        return 0;
                if (waitpid(pid, NULL, WNOHANG) == pid)
                        return -ECHILD;
                if (clock_now_usec() >= deadline)
                        return -ETIMEDOUT;
                clock_sleep_usec(POLL_USEC);
        }
}

static int load_rules(const Hub *hub, const Tracked *share, Problem *reterr_problem) {
        _cleanup_free_ char *openings = NULL, *rules = NULL;

        if (tracked_format(share, &openings) < 0 || string_printf(&rules, format, openings) < 0)
                return problem_set(reterr_problem, -ENOMEM, "cannot make rules for jobs' packets: %m");
        return nft_run(hub->netns_fd, rules, reterr_problem);
}

int pasta_connect(Hub *hub, Problem *reterr_problem) {
        bool known;

        if (!pasta_is_installed())
                return problem_set(reterr_problem, -ENOENT, "pasta is not installed: it is in package passt");
        hub->ipv6 = false;
        Tracked share = tracked_share(&known);
        pid_t pid = start(hub->netns_fd, &share);
        if (pid < 0)
                return problem_set(reterr_problem, (int) pid, "cannot start pasta: %m");
        int r = wait_for_route(hub, pid);
        if (r == -ECHILD)
                return problem_set(reterr_problem, r,
                                   "pasta ended at once: it cannot give jobs a network on this host");
        if (r < 0)
                return problem_set(reterr_problem, r, "pasta does not start: %m");
        return load_rules(hub, &share, reterr_problem);
}
