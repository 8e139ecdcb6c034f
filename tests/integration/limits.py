# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out whether limits on memory, tasks and CPU can bind on this host, and tries those of a whole job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import host
from pace import wait_until
from simulation.build import Build
from simulation.jobspec import Job

if TYPE_CHECKING:
    from lab import Site

NEEDED = {"memory", "pids", "cpu"}

# Says how many processes it could start, and ends them again.
FORK = """python3 -c '
import os, signal, time
children = []
try:
    while len(children) < 200:
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        children.append(pid)
except BlockingIOError:
    print("stopped after", len(children))
for pid in children:
    os.kill(pid, signal.SIGKILL)
'"""

# A service that has 30 MiB, and takes much more when somebody opens the other end of "more". Where the job runs into the
# limit of both, the kernel kills whichever has more: that must be the job, by far.
HOLD = """
import os, time
some = bytearray(30 << 20)
os.mkfifo("/builds/more")
open("/builds/has", "w")
open("/builds/more")
more = bytearray(400 << 20)
time.sleep(1000)
"""
# What a job does that could have this alone, but not beside that service.
TAKE = "while ! test -e /builds/has; do sleep 0.05; done; python3 -c 'bytearray(120 << 20)'"

# Any one container may have more than all of them together.
TOGETHER = {"network": "none", "memory_max": "1G", "memory_high": "infinity", "tasks_max": 1000,
            "job_memory_max": "160M", "job_tasks_max": 70}


def effective() -> bool:
    """Whether systemd runs on cgroup v2 with the controllers that our limits need."""
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    return host.has_systemd() and controllers.exists() and NEEDED <= set(controllers.read_text().split())


def job_with_service(image: str, **more: Any) -> Job:
    """Its service is HOLD."""
    return Job(image=image, services=[{"name": image, "alias": "holder", "entrypoint": None,
                                       "command": ["python3", "-c", HOLD]}], **more)


def fails(build: Build, script: str) -> str:
    """The log of a script that must fail."""
    call = build.start_script(script)
    assert call.wait() and call.returncode == 1, call.output
    return call.output


def assert_bound_together(site: Site, build: Build, memory: bool, tasks: bool) -> None:
    """With TOGETHER and job_with_service(): as far as its controllers bind on this host, the job fails where it runs into
    what it may have with its service, and the log says so, whichever of the two it was."""
    if tasks:
        log = fails(build, f"{FORK}; exit 4")
        assert "stopped after" in log and "The job and its services could not start more processes" in log, log
        assert log.count("(job_tasks_max: 70)") == 1, log
    if not memory:
        return
    what = "the job and its services ran out of memory (job_memory_max)"
    log = fails(build, TAKE)
    assert f"killed: {what}" in log and "does not run" not in log, log
    build.run_script(": >/builds/more")
    wait_until((site.runtime_dir / "jobs" / f"{min(site.jobs())}.s1" / "ended").exists)
    log = fails(build, "exit 5")
    assert f"Service '{build.job.image}' does not run any more: {what}" in log and "killed" not in log, log
