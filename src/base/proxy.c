/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the proxy by which this host reaches the network, for programs that fetch something: those that make trees
 * (source/builder.c), and what maintenance runs in an image (machine/image-machine.c). Jobs do not get it. */

#include "base/proxy.h"

#include <strings.h>

#include "base/process.h"
#include "base/string.h"

/* What the host's apt has for a proxy: NULL for none. */
static char *apt_proxy(const char *key) {
        Spawn spawn = SPAWN_INHERIT;
        _cleanup_free_ char *output = NULL;

        spawn.argv = ARGV("apt-config", "--format", "%v", "dump", key);
        spawn.stderr_fd = -EBADF;
        if (process_capture(&spawn, 4096, &output) != 0)
                return NULL;
        output[strcspn(output, "\r\n")] = 0;
        return isempty(output) || strcasecmp(output, "DIRECT") == 0 ? NULL : TAKE_PTR(output);
}

static int add_proxy(char ***environment, const char *variable, const char *apt_key) {
        const char *value = getenv(variable);

        if (!isempty(value))
                return strv_extendf(environment, "%s=%s", variable, value);
        _cleanup_free_ char *proxy = apt_key ? apt_proxy(apt_key) : NULL;
        return proxy ? strv_extendf(environment, "%s=%s", variable, proxy) : 0;
}

int proxy_environment(char ***environment) {
        int r = add_proxy(environment, "http_proxy", "Acquire::http::Proxy");
        if (r < 0)
                return r;
        r = add_proxy(environment, "https_proxy", "Acquire::https::Proxy");
        return r < 0 ? r : add_proxy(environment, "no_proxy", NULL);
}
