/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <linux/filter.h>
#include <stddef.h>

#include "base/macro.h"

/* The part of the seccomp filter that looks at arguments: which sockets a job may make. It stands before the rest of the
 * filter, which it falls through to when it has nothing against the call. Written by hand because libseccomp compares
 * 64 bits, of which the kernel uses 32, and answers for all other values with the filter's default error.
 *
 * Allowed are the address families of ordinary programs: UNIX, INET, INET6, NETLINK, PACKET. All others fail with
 * EAFNOSUPPORT, as on a kernel without them: VSOCK and QIPCRTR reach host and hypervisor past every namespace, BLUETOOTH,
 * NFC and CAN the host's hardware, and asking for any of them makes the kernel load a module that hardly anybody has
 * looked at. NETLINK_AUDIT fails the same way, as with systemd-nspawn: audit is not namespaced.
 *
 * i386's socketcall(2) has its arguments in memory, where no filter can look: the rest of the filter refuses it. */

#define SOCKET_FILTER_MAX 48

/* Writes the instructions for @native_arch (AUDIT_ARCH_*, linux/audit.h), that of this program, and the others whose
 * programs the kernel runs too. With @any_family only NETLINK_AUDIT is refused. Returns how many. */
size_t socket_filter_make(uint32_t native_arch, bool any_family, struct sock_filter ret[static SOCKET_FILTER_MAX]);
