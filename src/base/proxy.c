/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the proxy by which this host reaches the network, for programs that fetch something: those that make trees
 * (source/builder.c), and what maintenance runs in an image (machine/image-machine.c). Jobs do not get it. */

#include "base/proxy.h"

#include <strings.h>

#include "base/process.h"
#include "base/string.h"

#define APT_BYTES_MAX 65536
#define APT_HTTP "Acquire::http::Proxy"
#define APT_HTTPS "Acquire::https::Proxy"

/* What the host's apt has for proxies, as items KEY=VALUE of *ret; without apt, none. Proxies for single hosts have keys that
 * go on behind these. 0 or -ENOMEM. */
static int ask_apt(char ***ret) {
        Spawn spawn = SPAWN_INHERIT;
        _cleanup_free_ char *output = NULL;
        _cleanup_strv_ char **values = NULL;
        char *rest;

        spawn.argv = ARGV("apt-config", "--format", "%f=%v%n", "dump", APT_HTTP, APT_HTTPS);
        spawn.stderr_fd = -EBADF;
        if (process_capture(&spawn, APT_BYTES_MAX, &output) != 0)
                return 0;
        for (char *line = strtok_r(output, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
                if (strv_extend(&values, line) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(values);
        return 0;
}

static int add_proxy(char ***environment, const char *variable, const char *value, const char *of_apt) {
        if (isempty(value) && of_apt && strcasecmp(of_apt, "DIRECT") != 0)
                value = of_apt;
        return isempty(value) ? 0 : strv_extendf(environment, "%s=%s", variable, value);
}

int proxy_environment(char ***environment) {
        const char *http = getenv("http_proxy"), *https = getenv("https_proxy");
        _cleanup_strv_ char **apt = NULL;

        /* It takes as long to start as a small step. */
        int r = isempty(http) || isempty(https) ? ask_apt(&apt) : 0;
        if (r < 0)
                return r;
        r = add_proxy(environment, "http_proxy", http, strv_value(apt, APT_HTTP));
        if (r < 0)
                return r;
        r = add_proxy(environment, "https_proxy", https, strv_value(apt, APT_HTTPS));
        return r < 0 ? r : add_proxy(environment, "no_proxy", getenv("no_proxy"), NULL);
}
