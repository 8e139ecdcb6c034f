/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives rules to the kernel's packet filter, for nat.c, pasta.c and machine/segment.c. The library must be loaded only
 * in a child: it is large, and `supervise` runs as long as its job. No text that a job chose may get here. */

#include "network/nft.h"

#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "base/library.h"
#include "base/process.h"
#include "network/netlink.h"
#include "network/netns.h"

#define FUNCTIONS(X)               \
        X(nft_ctx_new)             \
        X(nft_ctx_buffer_error)    \
        X(nft_ctx_buffer_output)   \
        X(nft_run_cmd_from_buffer) \
        X(nft_ctx_get_error_buffer)

#define ERROR_BYTES_MAX 65536

/* Runs in the child. Returns its exit status. */
static int run(int netns_fd, const char *text, int error_fd) {
        static const char *const names[] = { FUNCTIONS(LIBRARY_NAME) NULL };
        struct {
                FUNCTIONS(LIBRARY_POINTER)
        } nft;

        if (library_load(LIBRARY_NFTABLES, names, (void **) &nft) < 0)
                return ELIBACC;
        if (netns_fd >= 0 && netns_enter(netns_fd) < 0)
                return errno;
        struct nft_ctx *context = nft.nft_ctx_new(NFT_CTX_DEFAULT);
        if (!context)
                return ENOMEM;
        nft.nft_ctx_buffer_error(context);
        nft.nft_ctx_buffer_output(context);
        errno = 0;
        if (nft.nft_run_cmd_from_buffer(context, text) == 0)
                return 0;
        int error = errno > 0 ? errno : EINVAL;
        const char *said = nft.nft_ctx_get_error_buffer(context);
        (void) fd_write_all(error_fd, said, strlen(said));
        return error;
}

static int wait_for(pid_t pid, int read_fd, Problem *reterr_problem) {
        _cleanup_free_ char *said = NULL;
        int status;

        (void) fd_read_all(read_fd, ERROR_BYTES_MAX, &said, NULL);
        int r = process_wait(pid, &status);
        if (r < 0)
                return r;
        r = WIFEXITED(status) ? -WEXITSTATUS(status) : -EPROTO;
        if (r == -ELIBACC)
                return problem_set(reterr_problem, r, "libnftables is not installed: it is in package libnftables1");
        if (r < 0)
                return problem_set(reterr_problem, r, "the kernel does not take the rules for jobs' packets: %.*s",
                                   said && *said ? (int) strcspn(said, "\n") : (int) strlen(strerror(-r)),
                                   said && *said ? said : strerror(-r));
        return 0;
}

int nft_run(int netns_fd, const char *text, Problem *reterr_problem) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return problem_set(reterr_problem, -errno, "cannot make a pipe: %m");
        _cleanup_close_ int read_fd = ends[0], write_fd = ends[1];
        pid_t pid = fork();
        if (pid < 0)
                return problem_set(reterr_problem, -errno, "cannot start a process: %m");
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(run(netns_fd, text, write_fd));
        }
        closep(&write_fd);
        return wait_for(pid, read_fd, reterr_problem);
}

static void ignore(_unused_ unsigned attribute, _unused_ const void *data, _unused_ size_t size,
                   _unused_ void *userdata) {
}

int nft_has_chain(const char *table, const char *chain) {
        const struct nfgenmsg request = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
        _cleanup_netlink_ NetlinkSocket *socket = NULL;
        NetlinkBatch batch = { 0 };
        struct nfgenmsg answer;

        int r = netlink_open(NETLINK_NETFILTER, &socket);
        if (r < 0)
                return r;
        netlink_begin(&batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, 0, &request, sizeof(request),
                      "ask for a chain");
        netlink_put_string(&batch, NFTA_CHAIN_TABLE, table);
        netlink_put_string(&batch, NFTA_CHAIN_NAME, chain);
        r = netlink_ask(socket, &batch, sizeof(answer), &answer, ignore, NULL);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}
