# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out whether limits on memory, tasks and CPU can bind on this host."""

from pathlib import Path

import host

NEEDED = {"memory", "pids", "cpu"}


def effective() -> bool:
    """Whether systemd runs on cgroup v2 with the controllers that our limits need."""
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    return host.has_systemd() and controllers.exists() and NEEDED <= set(controllers.read_text().split())
