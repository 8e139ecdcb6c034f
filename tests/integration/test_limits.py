# SPDX-License-Identifier: GPL-3.0-or-later
"""memory_max, memory_high, tasks_max and cpu_weight bind what runs in a job. Needs systemd on cgroup v2 with
controllers."""

import contextlib
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
import limits
from lab import IMAGE, Lab, Site
from simulation.build import Build
from simulation.jobspec import Job
from test_disk import test_btrfs_quota  # noqa: F401  # with this kernel, too

pytestmark = pytest.mark.host_matters

MIB = 1 << 20
FORK = limits.FORK
EAT_MIB = 250
EAT = f"python3 -c 'x = bytearray({EAT_MIB} << 20); print(len(x))'"


def property_of(site: Site, name: str, job: str | None = None) -> str:
    """A property of the unit of that job, or of the only one."""
    unit = f"{site.prefix}{job or site.job_id()}.service"
    return subprocess.run(["systemctl", "show", "-p", name, "--value", unit], check=True, capture_output=True,
                          text=True).stdout.strip()


def group_of(site: Site, job: str | None = None) -> Path:
    """The cgroup of that job, or of the only one."""
    group = property_of(site, "ControlGroup", job)
    assert group.startswith("/machine.slice/"), group
    return Path(f"/sys/fs/cgroup{group}")


def counts(file: Path) -> dict[str, int]:
    """A cgroup's file of names and numbers."""
    return {name: int(number) for name, number in (line.split() for line in file.read_text().splitlines())}


@pytest.mark.parametrize("boot", ("no", "yes"))
def test_memory_max(make_site, boot: str) -> None:
    """What exceeds it is killed, in both boot modes; the message says why; the job's machine lives on. While the memory of
    what was killed is still being freed, the kernel may kill another process of the step: its shell."""
    site = make_site(memory_max="100M", memory_high="infinity", boot=boot)
    with site.started() as build:
        group = group_of(site)
        assert counts(group / "memory.events")["oom_kill"] == 0
        assert build.run_script("cat /proc/1/oom_score_adj /proc/self/oom_score_adj").stdout == b"-100\n0\n"
        for script, statuses in ((EAT, {"137"}), (f"exec {EAT}", {"137"}), (f"{EAT} || kill -TERM $$", {"143", "137"}),
                                 (f"{EAT} || exit 3", {"3", "137"})):
            call = build.start_script(f"#!/bin/bash\n{script}\n", raw=True)
            assert call.wait() and call.returncode == 1, call.output
            assert Path(build.exit_code_file).read_text(encoding="ascii").strip() in statuses
            assert re.search(r"the job ran out of memory \(memory_max\): '\w+' used \d", call.stderr.decode()), call.output
            assert str(EAT_MIB * MIB) not in call.stdout.decode()
        assert counts(group / "memory.events")["oom_kill"] >= 4
        # What fails later for another reason, or is killed by somebody else, is not blamed on memory.
        for script in ("exit 4", "kill -KILL $$"):
            call = build.start_script(script)
            assert call.wait() and call.returncode == 1, call.output
            assert "memory" not in call.stderr.decode(), call.output
        assert build.run_script("echo still").stdout == b"still\n"
        assert property_of(site, "MemoryMax") == str(100 * MIB)


def test_memory_of_the_whole_job(make_site) -> None:
    """The limit is for all steps together: what the background of an earlier step holds counts."""
    site = make_site(memory_max="150M", memory_high="infinity")
    with site.started() as build:
        hold = "x = b'x' * (100 << 20); open('/tmp/up', 'w'); import time; time.sleep(1000)"
        build.run_script(f'python3 -c "{hold}" >/dev/null 2>&1 & while ! test -e /tmp/up; do sleep 0.05; done')
        events = group_of(site) / "memory.events"
        assert counts(events)["oom_kill"] == 0
        call = build.start_script("python3 -c 'x = b\"x\" * (100 << 20)'; cat /tmp/up")
        assert call.wait()
        assert counts(events)["oom_kill"] > 0


def test_files_in_memory(make_site) -> None:
    """With storage tmpfs, what a job writes is memory that killing frees nothing of: each step that fails for it says so,
    and is the job's failure, be it that the machine ended."""
    site = make_site(storage="tmpfs", tmpfs_size="1G", memory_max="100M", memory_high="infinity")
    with site.started() as build:
        for number in range(5):
            call = build.start_script(f"dd if=/dev/zero of=/file{number} bs=1M count=200")
            assert call.wait() and call.returncode == 1, call.output
            assert "the job ran out of memory (memory_max)" in call.stderr.decode(), call.output
            if "The container" in call.stderr.decode():
                break


def test_disk_in_memory(make_site) -> None:
    """As the settings come, such a disk is full before the job is killed for it."""
    site = make_site(storage="tmpfs")
    with site.started() as build:
        call = build.start_script("dd if=/dev/zero of=/file bs=1M || rm /file; echo goes on")
        assert call.wait() and call.returncode == 0, call.output
        assert "No space left on device" in call.stderr.decode(), call.output
        assert call.stdout.decode().endswith("goes on\n"), call.output
        events = counts(group_of(site) / "memory.events")
        assert (events["high"], events["oom_kill"]) == (0, 0), events


def test_memory_high(make_site) -> None:
    """What exceeds it is slowed down, and not killed."""
    site = make_site(memory_max="infinity", memory_high="100M")
    with site.started() as build:
        events = group_of(site) / "memory.events"
        assert property_of(site, "MemoryHigh") == str(100 * MIB)
        before = counts(events)["high"]
        call = build.start_script(EAT)
        while counts(events)["high"] == before and not call.wait(0.1):
            pass
        assert counts(events)["high"] > before
        call.terminate(60, 5)
        assert counts(events)["oom_kill"] == 0


def test_job_memory_high(make_site) -> None:
    """What a job and its services together have beyond it is slowed down, and not killed: neither has
    a limit of its own that could be it."""
    settings = {**limits.TOGETHER, "memory_max": "infinity", "job_memory_max": "infinity", "job_memory_high": "120M"}
    site = make_site(**settings)
    with site.started(limits.job_with_service(IMAGE)) as build:
        job = next(name for name in site.jobs() if not name.endswith(".s1"))
        slice_ = group_of(site, job).parent
        assert (slice_ / "memory.high").read_text().strip() == str(120 * MIB)
        assert (group_of(site, job) / "memory.high").read_text().strip() == "max"
        before = counts(slice_ / "memory.events")["high"]
        call = build.start_script(EAT)
        while counts(slice_ / "memory.events")["high"] == before and not call.wait(0.1):
            pass
        events = counts(slice_ / "memory.events")
        assert events["high"] > before and events["oom_kill"] == 0, events
        call.terminate(60, 5)
        assert counts(slice_ / "memory.events")["oom_kill"] == 0


def test_memory_percentages(make_site) -> None:
    """30% and 40% of the host's memory are the defaults."""
    site = make_site()
    total = next(int(line.split()[1]) * 1024 for line in host.read("/proc/meminfo").splitlines() if "MemTotal" in line)
    with site.started():
        for name, part in (("MemoryHigh", 0.30), ("MemoryMax", 0.40)):
            assert abs(int(property_of(site, name)) - total * part) < total * 0.01


def test_tasks_max(make_site) -> None:
    """No more processes than that: fork fails, in the job and nowhere else, and when there is room the job goes on."""
    site = make_site(tasks_max=50)
    with site.started() as build:
        group = group_of(site)
        assert (group / "pids.max").read_text().strip() == "50"
        call = build.start_script(f"{FORK}; exit 1")
        assert call.wait() and call.stderr.decode().count("(tasks_max: 50)") == 1, call.output
        call = build.start_script("exit 4")
        assert call.wait() and "tasks_max" not in call.stderr.decode(), call.output
        count = int(build.run_script(FORK).stdout.removeprefix(b"stopped after "))
        assert 30 <= count < 50
        assert build.run_script("echo still").stdout == b"still\n"


def test_tasks_default(make_site) -> None:
    """16384 processes, if nothing else is said."""
    site = make_site()
    with site.started():
        assert (group_of(site) / "pids.max").read_text().strip() == "16384"


def test_cpu_weight(make_site) -> None:
    """The weight is set, 50 by default, and on what the job's processes are in: that is version 2 alone, as on the host."""
    for setting, expected in (({}, "50"), ({"cpu_weight": 7}, "7")):
        site = make_site(**setting)
        with site.started():
            group = group_of(site)
            assert (group / "cpu.weight").read_text().strip() == expected
            inside = [host.read(f"/proc/{pid}/cgroup").strip().removeprefix("0::") for pid in site.container_pids()]
            assert inside and all(f"/sys/fs/cgroup{path}/".startswith(f"{group}/") for path in inside)


def test_cpu_is_shared_by_weight(make_site) -> None:
    """Two busy jobs on one CPU get time in the relation of their weights, roughly."""
    site = make_site()
    builds: list[Build] = []
    files = []
    try:
        for weight in (20, 200):
            site.settings["cpu_weight"] = weight
            site.write_config()
            known = set(site.jobs())
            builds.append(Build(site.runner(), Job()))
            builds[-1].begin()
            (job,) = set(site.jobs()) - known
            files.append(group_of(site, job) / "cpu.stat")
        calls = [build.start_script("taskset -c 0 sh -c 'echo up; while :; do :; done'") for build in builds]
        for call in calls:
            call.wait_for_output(b"up")
        before = [counts(file)["usage_usec"] for file in files]
        used = [0, 0]
        while sum(used) < 1_500_000:
            time.sleep(0.1)
            used = [counts(file)["usage_usec"] - start for file, start in zip(files, before)]
        assert used[1] > 3 * used[0], used
        for call in calls:
            call.terminate(60, 5)
    finally:
        for build in builds:
            build.cleanup()
    assert site.traces() == []


def test_whole_job(make_site) -> None:
    """A job and its services have limits together, beside those of each; together they weigh as much as one job."""
    site = make_site(**limits.TOGETHER)
    with site.started(limits.job_with_service(IMAGE)) as build:
        job = next(name for name in site.jobs() if not name.endswith(".s1"))
        own, slice_ = group_of(site, job), group_of(site, job).parent
        assert slice_.name.endswith(".slice") and group_of(site, f"{job}.s1").parent == slice_
        values = [(slice_ / name).read_text().strip() for name in ("memory.max", "memory.high", "pids.max", "cpu.weight")]
        assert values == [str(160 * MIB), "max", "70", "50"], values
        assert (own / "memory.max").read_text().strip() == str(1 << 30)
        limits.assert_bound_together(site, build, memory=True, tasks=True)
    with site.started(Job(image=IMAGE)) as build:
        assert group_of(site).parent.name == "machine.slice"
        assert [property_of(site, name) for name in ("MemoryMax", "TasksMax")] == [str(160 * MIB), "70"]
        assert "the job ran out of memory (job_memory_max)" in limits.fails(build, EAT)
        assert "The job could not start more processes: it has as many as it may have (job_tasks_max: 70)" in \
            limits.fails(build, f"{FORK}; exit 4")


@contextlib.contextmanager
def without_systemd() -> Iterator[list[str]]:
    """What runs a command on this host as if its PID 1 were not systemd: nothing of it is visible."""
    hide = "mount -t tmpfs tmpfs /run/systemd && echo ready && exec sleep infinity"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", hide], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            yield ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt"]
        finally:
            process.kill()


def test_whole_job_without_systemd(make_site) -> None:
    """The same with groups that we make, and controllers that we enable for them."""
    with without_systemd() as wrapper:
        site = make_site(**limits.TOGETHER)
        site.wrapper = wrapper
        with site.started(limits.job_with_service(IMAGE)) as build:
            (slice_,) = Path("/sys/fs/cgroup/nspawn-runner").glob("machine-*.slice")
            groups = sorted(path.name for path in slice_.iterdir() if path.is_dir())
            assert groups == [site.prefix + job for job in site.jobs()] and len(groups) == 2, groups
            values = [(slice_ / name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.weight")]
            assert values == [str(160 * MIB), "70", "50"], values
            assert (slice_ / groups[0] / "memory.max").read_text().strip() == str(1 << 30)
            limits.assert_bound_together(site, build, memory=True, tasks=False)
        assert not slice_.exists()


# Quotas of projects: this machine's kernel has them, others that tests run on do not.
PROJECT_QUOTA = {"ext4": ("-O", "quota,project", "-E", "quotatype=prjquota"), "xfs": ()}


@pytest.mark.parametrize("kind", PROJECT_QUOTA)
def test_project_quota(lab: Lab, make_site: Callable[..., Site], kind: str) -> None:
    """disk_max without a second file system: it binds the job's root and, with services, what it shares with them; in bytes
    and files; jobs at the same time have limits of their own, and what a job left does not count against the next."""
    fill = "dd if=/dev/zero of={} bs=1M"
    job = Job(image=IMAGE, services=[{"name": IMAGE, "alias": "s", "entrypoint": None, "command": ["sleep", "1000"]}])

    def fails(build: Build, script: str, expected: str) -> None:
        call = build.start_script(script)
        assert call.wait() and expected in call.stderr.decode(), call.output

    with lab.file_system(kind, "quota", "400M", make=PROJECT_QUOTA[kind], mount="loop,prjquota") as where:
        root = where / "root"
        root.mkdir()
        subprocess.run(["cp", "-a", lab.tiny_image(), root / IMAGE], check=True)
        # with that, there are services, too
        site, beside = (make_site(root=root, disk_max="16M", network="none") for _ in range(2))
        assert "16M for each job, by a project quota" in site.call("doctor").stdout
        with site.started(job) as build, beside.started() as other:
            assert not list((root / ".layers").glob("*/disk"))
            fails(build, fill.format("/root/big"), "The job used up its 16M of disk (disk_max)")
            build.run_script("rm /root/big; head -c 10M /dev/zero >/builds/half; sync")
            disk = max(row["disk"] for row in json.loads(site.call("status", "--json").stdout)["jobs"])
            assert 10 << 20 <= disk <= 16 << 20, disk
            fails(build, fill.format("/root/big"), "The job used up its 16M of disk (disk_max)")
            other.run_script("head -c 12M /dev/zero >/root/fits; rm /root/fits")
            fails(other, "cd /root; touch $(seq 1500)", "The job has as many files")
        with site.started() as build:
            build.run_script("head -c 12M /dev/zero >/root/fits; touch /root/{1..100}")
        host.remove_tree(root)
