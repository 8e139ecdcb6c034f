# SPDX-License-Identifier: GPL-3.0-or-later
"""Many jobs of one image at once."""

import re
import threading

import pytest

import host
from lab import COMBINATIONS, Site
from simulation.build import Build
from simulation.jobspec import Job

pytestmark = pytest.mark.supervisor_matters

MANY = 50


def together(functions: list) -> None:
    """Calls all functions at the same moment, each in a thread; raises what any of them raised."""
    barrier, errors = threading.Barrier(len(functions)), []

    def call(function) -> None:
        try:
            barrier.wait()
            function()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def base_of(pid: int) -> int:
    """First host UID of the process's user namespace."""
    return int(host.read(f"/proc/{pid}/uid_map").split()[1])


def test_fifty_at_once(make_site) -> None:
    """All start, none shares users, a machine name, a cgroup or addresses with another, all run and end cleanly."""
    site: Site = make_site(start_timeout="300s", network="private")
    builds = [Build(site.runner(), Job()) for _ in range(MANY)]
    together([build.begin for build in builds])
    assert len(site.jobs()) == len(site.layers()) == MANY
    machines: dict[str, set[int]] = {}
    for pid in site.container_pids():
        cgroup = next(m.group(1) for m in re.finditer(rf"({site.prefix}[^/\n]+)",
                                                      host.read(f"/proc/{pid}/cgroup")))
        machines.setdefault(cgroup.removesuffix(".service"), set()).add(base_of(pid))
    assert machines.keys() == {site.prefix + job for job in site.jobs()}
    assert all(len(bases) == 1 for bases in machines.values()), machines
    bases = sorted(base for found in machines.values() for base in found)
    assert all(second - first >= 196608 for first, second in zip(bases, bases[1:])), bases

    addresses: set[str] = set()

    def play(build: Build) -> None:
        addresses.add(build.run_script("sed -n 's/ .*//;s/\\t.*//;/^127/d;/^[0-9.]*$/p' /etc/hosts").stdout.decode().strip())
        build.run_script(f"echo {build.job.number} > /root/number")
        assert build.run_script("cat /root/number; hostname").stdout.decode().split()[0] == str(build.job.number)
        assert build.cleanup().returncode == 0
    together([lambda build=build: play(build) for build in builds])
    assert len(addresses) == MANY and all(re.fullmatch(r"[0-9.]+", address) for address in addresses), addresses
    assert site.traces() == []


def test_all_combinations_at_once(make_site) -> None:
    """Jobs of all kinds side by side."""
    sites = [make_site(storage=storage, private_users=users, boot=boot) for storage, users, boot in COMBINATIONS]

    def play(site: Site) -> None:
        result = site.run(Job(["echo up"], ["echo after"]))
        assert result.state == "success", result.log
    together([lambda site=site: play(site) for site in sites])


def test_prepares_of_one_job_at_once(site: Site) -> None:
    """Several prepare of the same job: each removes what it finds, so some may fail; there are never two machines,
    and where all succeeded there is one."""
    job = Job()
    builds = [Build(site.runner(), job) for _ in range(3)]
    for build in builds:
        build.start_attempt()
        build.config()
        build.start_build()
    calls = [build.start("prepare", build.runner.prepare_exec) for build in builds]
    assert all(call.wait() for call in calls)
    assert len(site.jobs()) <= 1
    if all(call.returncode == 0 for call in calls):
        assert builds[0].run_script("echo one").stdout == b"one\n"
    for build in builds:
        build.cleanup()
    assert site.traces() == []


def test_parallel_runs_of_one_job(any_boot_site: Site) -> None:
    """Several run calls of one job at once, each with its own output."""
    with any_boot_site.started() as build:
        calls = [build.start_script(f"for i in {{1..500}}; do echo {n}-$i; done") for n in range(8)]
        for number, call in enumerate(calls):
            assert call.wait() and call.returncode == 0, call.output
            assert call.stdout == "".join(f"{number}-{i}\n" for i in range(1, 501)).encode()
