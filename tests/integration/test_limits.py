# SPDX-License-Identifier: GPL-3.0-or-later
"""memory_max, tasks_max and cpu_weight bind what runs in a job. Needs systemd on cgroup v2 with controllers."""

import subprocess
import time

import host
from jobspec import Job
from lab import Site

EAT = "python3 -c 'x = bytearray(400 * 1024 * 1024); print(len(x))'"


def property_of(site: Site, name: str) -> str:
    """A property of the only job's unit."""
    unit = f"nspawn-runner-job-{site.job_id()}.service"
    return subprocess.run(["systemctl", "show", "-p", name, "--value", unit], check=True, capture_output=True,
                          text=True).stdout.strip()


def test_memory_max(make_site) -> None:
    """What exceeds it is killed, in both boot modes; the message says why; the job's machine lives on."""
    for boot in ("no", "yes"):
        site = make_site(memory_max="200M", memory_high="infinity", boot=boot)
        with site.started() as build:
            call = build.start_script(EAT)
            assert call.wait(120) and call.returncode == 1, call.output
            with open(build.exit_code_file, encoding="ascii") as file:
                assert file.read().strip() == "137"
            assert "memory" in call.stderr.decode(), call.output
            assert build.run_script("echo still").stdout == b"still\n"
            assert property_of(site, "MemoryMax") == str(200 << 20)


def test_memory_of_the_whole_job(make_site) -> None:
    """The limit is for all steps together: what the background of an earlier step holds counts."""
    site = make_site(memory_max="300M", memory_high="infinity")
    with site.started() as build:
        hold = "x = b'x' * (200 << 20); open('/tmp/up', 'w'); import time; time.sleep(1000)"
        build.run_script(f'python3 -c "{hold}" >/dev/null 2>&1 & while ! test -e /tmp/up; do sleep 0.05; done')
        call = build.start_script("python3 -c 'x = b\"x\" * (200 << 20)'; cat /tmp/up")
        assert call.wait(120)
        events = host.read(f"/sys/fs/cgroup{property_of(site, 'ControlGroup')}/memory.events")
        assert "oom_kill 0" not in events


def test_memory_percentages(make_site) -> None:
    """30% and 40% of the host's memory are the defaults."""
    site = make_site()
    total = next(int(line.split()[1]) * 1024 for line in host.read("/proc/meminfo").splitlines() if "MemTotal" in line)
    with site.started():
        for name, part in (("MemoryHigh", 0.30), ("MemoryMax", 0.40)):
            assert abs(int(property_of(site, name)) - total * part) < total * 0.01


def test_tasks_max(make_site) -> None:
    """No more processes than that: a fork bomb ends in the job."""
    site = make_site(tasks_max=50)
    with site.started() as build:
        call = build.start_script("for i in {1..100}; do sleep 1000 >/dev/null 2>&1 & done; wait -n || :; echo out")
        build_pids = host.read(f"/sys/fs/cgroup{property_of(site, 'ControlGroup')}/pids.max").strip()
        assert build_pids == "50"
        assert call.wait(120)
        assert call.returncode == 1 or "fork" in call.output, call.output


def test_cpu_weight(make_site) -> None:
    """The weight is set, 50 by default, and on what the job's processes are in."""
    for setting, expected in (({}, "50"), ({"cpu_weight": 7}, "7")):
        site = make_site(**setting)
        with site.started():
            group = f"/sys/fs/cgroup{property_of(site, 'ControlGroup')}"
            assert host.read(f"{group}/cpu.weight").strip() == expected
            inside = [host.read(f"/proc/{pid}/cgroup").strip().removeprefix("0::") for pid in site.container_pids()]
            assert inside and all(path.startswith(group.removeprefix("/sys/fs/cgroup")) for path in inside)


def test_cpu_is_shared_by_weight(make_site) -> None:
    """Two busy jobs on one CPU get time in the relation of their weights, roughly."""
    sites = [make_site(cpu_weight=weight) for weight in (20, 200)]
    with sites[0].started(Job()) as light, sites[1].started(Job()) as heavy:
        calls = [build.start_script("taskset -c 0 sh -c 'while :; do :; done'") for build in (light, heavy)]
        groups = [f"/sys/fs/cgroup{property_of(site, 'ControlGroup')}/cpu.stat" for site in sites]

        def usage(path: str) -> int:
            return int(host.read(path).split()[1])
        before = [usage(path) for path in groups]
        while usage(groups[1]) - before[1] < 2_000_000:
            time.sleep(0.1)
        used = [usage(path) - start for path, start in zip(groups, before)]
        assert used[1] > 3 * used[0], used
        for call in calls:
            call.terminate(60, 5)
