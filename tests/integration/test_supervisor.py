# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps the container running: a service of the host's systemd, or a detached process with cgroups of its own."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

import host
import limits
import units
from lab import IMAGE, POWER_OFF, Site
from pace import wait_until
from simulation.jobspec import Job
from simulation.shellscript import escape

pytestmark = pytest.mark.supervisor_matters

SYSTEMD = host.has_systemd()
STRACE = shutil.which("strace")


def output(*command: str) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cgroup_lines(pid: int) -> list[str]:
    """Paths of the process's cgroups, one per hierarchy that is mounted here."""
    return [line.split(":", 2)[2] for line in host.read(f"/proc/{pid}/cgroup").splitlines()]


def test_visible_on_the_host(any_boot_site: Site) -> None:
    """systemd: machine, unit and journal. Detached: the job's own cgroup wherever its processes are."""
    with any_boot_site.started():
        name = any_boot_site.machine()
        pids = any_boot_site.container_pids()
        assert pids
        if SYSTEMD:
            assert name in output("machinectl", "list", "--no-legend")
            assert "Main PID: " in output("systemctl", "status", "--no-pager", f"{name}.service")
            assert "active" == output("systemctl", "is-active", f"{name}.service").strip()
            properties = output("systemctl", "show", f"{name}.service")
            for line in ("Type=notify", "KillMode=mixed", "Slice=machine.slice", "Delegate=yes", "TasksMax=16384",
                         "CollectMode=inactive-or-failed", "Transient=yes", "DevicePolicy=closed", "NotifyAccess=main",
                         "SyslogLevelPrefix=no", "StatusText=The container runs"):
                assert line in properties.splitlines(), line
            # What the container says of itself does not get there.
            outside = [pid for pid in any_boot_site.job_pids() if "nspawn" in host.read(f"/proc/{pid}/comm")]
            nspawn = [pid for pid in outside if host.read(f"/proc/{pid}/cmdline").startswith("systemd-nspawn")]
            assert nspawn and not any("NOTIFY_SOCKET" in host.read(f"/proc/{pid}/environ") for pid in nspawn)
            assert "RestartForceExitStatus=133" not in properties
            assert all(f"machine.slice/{name}.service" in host.read(f"/proc/{pid}/cgroup") for pid in pids)
        else:
            for pid in pids:
                assert [path for path in cgroup_lines(pid) if f"nspawn-runner/{name}" in path]


def hierarchies() -> dict[str, Path]:
    """Where each hierarchy of control groups is mounted, by its part of the lines of /proc/PID/cgroup; "": version 2."""
    found = {}
    for line in host.read("/proc/self/mountinfo").splitlines():
        words = line.split()
        kind, options = words[words.index("-") + 1], words[words.index("-") + 3]
        if kind == "cgroup2":
            found.setdefault("", Path(words[4]))
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, Path(words[4]))
    return found


def groups(site: Site) -> dict[str, Path]:
    """The only job's own group in each hierarchy."""
    mounted, found = hierarchies(), {}
    last = site.machine() + (".service" if SYSTEMD else "")
    for line in host.read(f"/proc/{site.init_pid()}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in mounted and last in path:
                found[name] = mounted[name] / path[1:path.index(last) + len(last)]
    return found


# Makes groups beside each other, then below each other, until there can be no more: says how many.
FILL = """\
import os, re
mounts = open("/proc/self/mountinfo").read()
os.chdir(re.search(r"^\\S+ \\S+ \\S+ \\S+ (\\S+) .* - cgroup2 ", mounts, re.M)[1])
def fill(make):
    for number in range(5000):
        try:
            make(f"x{number}")
        except BlockingIOError:
            return number
many = fill(os.mkdir)
for number in range(many):
    os.rmdir(f"x{number}")
print(many, fill(lambda name: (os.mkdir(name), os.chdir(name))))
"""


def test_number_of_groups(site: Site) -> None:
    """A job can make so many control groups and no more, and all of them go with it."""
    with site.started() as build:
        assert "" in groups(site), "test hosts have version 2, if without controllers"
        own = groups(site)[""]
        many, deep = map(int, build.run_script(f"python3 -c {escape(FILL)}").stdout.split())
        assert 1024 < many < 2048 and 8 < deep < 32, (many, deep)
        assert (own / "cgroup.max.descendants").read_text() == "2048\n"
        assert (own / "cgroup.max.depth").read_text() == "32\n"


def test_missing_controllers(make_site) -> None:
    """Limits that do not bind here are named in the job's log, once; those that do are not."""
    site = make_site(memory_max="1G", tasks_max=10**7, cpu_weight=7)
    with site.started() as build:
        own, log = groups(site), build.calls[1].stderr.decode()
        names = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max", "pids.max"),
                 "cpu": ("cpu.weight", "cpu.shares")}
        values = {}
        for controller, (new, old) in names.items():
            files = [directory / (old if name else new) for name, directory in own.items() if name in ("", controller)]
            values[controller] = [file.read_text().strip() for file in files if file.exists()]
        for controller, setting in (("memory", "memory_max"), ("pids", "tasks_max"), ("cpu", "cpu_weight")):
            assert (setting in log) == (not values[controller]), (log, values)
        assert log.count("Not limited on this host") == (not all(values.values())), log
        assert "Not limited" not in build.run_script("echo >&2").stderr.decode()
        if not SYSTEMD and values["pids"]:
            # systemd raises pid_max. Elsewhere no job has more than half of what the host has.
            most = min(int(host.read(f"/proc/sys/kernel/{name}")) for name in ("pid_max", "threads-max"))
            assert values["pids"] == [str(min(10**7, most // 2))]


def slice_groups(site: Site, job: str) -> dict[str, Path]:
    """The directories of the slice of a job in each hierarchy, whether they exist or not."""
    parent = "machine.slice" if SYSTEMD else "nspawn-runner"
    name = f"machine-{(site.prefix + job).replace('-', '_')}.slice"
    return {key: mount / parent / name for key, mount in hierarchies().items()}


def test_slice(make_site) -> None:
    """All containers of a job with services are in one group, whose limits bind them together where there are
    controllers; a job without services has none."""
    site = make_site(**limits.TOGETHER)
    with site.started(limits.job_with_service(IMAGE)) as build:
        job = min(site.jobs())
        assert site.jobs() == [job, f"{job}.s1"]
        groups_ = {key: path for key, path in slice_groups(site, job).items() if path.exists()}
        assert groups_
        inside = {line for pid in site.job_pids() for line in cgroup_lines(pid)
                  if site.prefix in line and next(iter(groups_.values())).name not in line}
        assert not inside
        unit = next(iter(groups_.values())).name
        if SYSTEMD:
            properties = output("systemctl", "show", unit).splitlines()
            for line in (f"MemoryMax={160 << 20}", "MemoryHigh=infinity", "TasksMax=70", "CPUWeight=50", "ActiveState=active",
                         "Slice=machine.slice", "Transient=yes", "StopWhenUnneeded=yes"):
                assert line in properties, line
        files = [path / name for path in groups_.values() for name in ("memory.max", "memory.limit_in_bytes", "pids.max")]
        values = {file.name: file.read_text().strip() for file in files if file.exists()}
        memory = str(160 << 20) in values.values()
        assert memory == any(name.startswith("memory") for name in values), values
        assert values.get("pids.max", "70") == "70", values
        log = build.calls[1].stderr.decode()
        assert ("job_memory_max" in log) != memory and ("job_tasks_max" in log) != ("pids.max" in values), log
        limits.assert_bound_together(site, build, memory, "pids.max" in values)
    with site.started(Job(image=IMAGE)):
        assert not any(path.exists() for path in slice_groups(site, site.job_id()).values())


def test_forgotten_slice(make_site) -> None:
    """A slice that nothing else is left of: `status` shows it, `gc` removes it, and another configuration's stays."""
    site, other = make_site(), make_site()
    for where, job in ((site, "4711-gone"), (other, "4712-gone")):
        if SYSTEMD:
            subprocess.run(["systemctl", "start", slice_groups(where, job)[next(iter(hierarchies()))].name], check=True)
        else:
            next(iter(slice_groups(where, job).values())).mkdir(parents=True)
    rows = json.loads(site.call("status", "--json").stdout)["jobs"]
    assert [(row["id"], row["state"]) for row in rows] == [("4711-gone", "dead")], rows
    assert site.call("gc").returncode == 0
    assert site.traces() == [] and other.traces()
    assert other.call("cleanup", "--id", "4712-gone").returncode == 0
    assert other.traces() == []


@pytest.mark.needs_systemd
def test_slice_that_systemd_still_has(make_site) -> None:
    """`cleanup` ends when systemd has removed the slice, not only its control groups: until then it would refuse to start
    the next one of that name. Another client of the bus keeps the unit here, as systemd itself does for a moment. That
    systemd loads its configuration anew meanwhile makes no difference."""
    site = make_site(network="none")
    with site.started(limits.job_with_service(IMAGE)) as build:
        paths = slice_groups(site, min(site.jobs()))
        unit = next(iter(paths.values())).name
        with units.kept(unit):
            cleanup = build.start("cleanup", build.runner.cleanup_exec)
            wait_until(lambda: not any(path.exists() for path in paths.values()))
            subprocess.run(["systemctl", "daemon-reload"], check=True)
            assert not cleanup.wait(0.5), cleanup.output
        assert cleanup.wait() and cleanup.returncode == 0, cleanup.output
        build.cleanup_temporary()
        build.begin()


@pytest.mark.needs_systemd
def test_unit_that_waits_for_its_start(site: Site) -> None:
    """A unit that systemd has not started yet has no process to kill. `cleanup` ends it all the same."""
    name, block = f"{site.prefix}4711-waits.service", f"{site.prefix}block.service"
    start = ["systemd-run", "--quiet", "--collect", "--no-block"]
    try:
        subprocess.run([*start, f"--unit={block}", "--service-type=oneshot", "sleep", "infinity"], check=True)
        subprocess.run([*start, f"--unit={name}", f"--property=After={block}", "sleep", "infinity"], check=True)
        assert "4711-waits" in output("systemctl", "list-jobs", "--no-legend")
        done = site.call("cleanup", "--id", "4711-waits")
        assert done.returncode == 0, done.stderr
        assert "4711-waits" not in output("systemctl", "list-jobs", "--no-legend")
        assert "4711-waits" not in output("systemctl", "list-units", "--all", "--no-legend")
    finally:
        subprocess.run(["systemctl", "stop", block], check=False)


def test_journal(site: Site) -> None:
    """systemd: the unit has a journal. Detached: the container's console is kept beside the job's state."""
    with site.started():
        if SYSTEMD:
            subprocess.run(["journalctl", "--sync"], check=True)  # what was said until now
            assert site.machine() in output("journalctl", "--no-pager", "-o", "short", "-u", site.machine())
        else:
            files = os.listdir(site.runtime_dir / "jobs" / site.job_id())
            assert "machine.json" in files


def test_caller_may_end(site: Site) -> None:
    """The container outlives prepare's process group and session: nothing of it is in them."""
    with site.started() as build:
        prepare = next(call for call in build.calls if call.name == "prepare")
        assert prepare.returncode == 0
        sessions = {os.getsid(pid) for pid in site.job_pids()}
        assert os.getsid(0) not in sessions
        for pid in site.job_pids():
            opened = host.open_files(pid)
            for fd in (1, 2):
                target = opened.get(fd, "")
                assert not re.match(r"pipe:", target) or pid in site.container_pids() or target in own_pipes(site)


def own_pipes(site: Site) -> set[str]:
    """Pipes that more than one of the job's processes hold: their own, such as the console's."""
    seen: dict[str, int] = {}
    for pid in site.job_pids():
        for target in host.open_files(pid).values():
            seen[target] = seen.get(target, 0) + 1
    return {target for target, count in seen.items() if count > 1}


def test_one_supervisor_and_one_nspawn(any_boot_site: Site) -> None:
    """Outside the container the job has the driver's supervisor and nspawn's processes, nothing else."""
    with any_boot_site.started():
        inside = set(any_boot_site.container_pids())
        names = {host.read(f"/proc/{pid}/comm").strip() for pid in any_boot_site.job_pids() if pid not in inside}
        assert names <= {"nspawn-runner", "systemd-nspawn", "nspawn", "(sd-stubinit)", "nspawn-runner-a"}, names


def test_supervisor_killed(any_boot_site: Site) -> None:
    """When the supervisor dies the container dies with it; run then fails, and cleanup has nothing to fear."""
    with any_boot_site.started() as build:
        inside = any_boot_site.container_pids()
        for pid in set(any_boot_site.job_pids()) - set(inside):
            if "supervise" in host.read(f"/proc/{pid}/cmdline"):
                host.kill(pid)
        wait_until(lambda: not any_boot_site.container_pids())
        call = build.start_script("echo never")
        assert call.wait() and call.returncode == 2 and call.stdout == b"" and call.stderr


def test_time_limit(make_site) -> None:
    """A job whose runner died ends by itself: its machine has a time limit from the job's own timeout."""
    site = make_site()
    with site.started(Job(timeout=3600)):
        if SYSTEMD:
            usec = output("systemctl", "show", "-p", "RuntimeMaxUSec", "--value", f"{site.machine()}.service").strip()
            assert usec not in ("", "infinity") and usec.startswith("1h"), usec
        else:
            state = (site.runtime_dir / "jobs" / site.job_id() / "machine.json").read_text()
            limit = int(re.search(r'"runtime_max_usec":\s*(\d+)', state).group(1))
            assert 3600 * 10**6 <= limit <= 3 * 3600 * 10**6


def test_exit_of_nspawn_is_cleaned(any_boot_site: Site) -> None:
    """A container that ends by itself leaves its mark only until cleanup."""
    with any_boot_site.started() as build:
        command = "systemctl poweroff" if any_boot_site.settings["boot"] == "yes" else POWER_OFF
        call = build.start_script(command + "; sleep 1000")
        assert call.wait() and call.returncode == 1, call.output
        assert "The container ended: it was switched off from inside" in call.output


@pytest.mark.parametrize("command", ("reboot", "systemctl reboot", "systemctl exit 133"))
def test_reboot_does_not_restart(make_site, command: str) -> None:
    """A job that reboots its machine fails; it is not started again on an empty layer."""
    site = make_site(boot="yes")
    with site.started() as build:
        call = build.start_script(f"touch /root/here; {command}; sleep 1000")
        assert call.wait() and call.returncode in (1, 2), call.output
        if command == "systemctl reboot":
            assert call.returncode == 1 and "The container ended: it was rebooted from inside" in call.output
        second = build.start_script("test -e /root/here && echo same")
        assert second.wait()
        assert second.returncode == 2 or second.stdout == b"same\n", second.output


@pytest.mark.skipif(not STRACE, reason="strace is not in PATH")
def test_started_without_moves(site: Site, tmp_path: Path) -> None:
    """Detached: nothing of ours moves a process in a way that the kernel may wait for. systemd-nspawn and systemd do."""
    log = tmp_path / "log"
    # It goes on as long as the container does, so it must not have the runner's pipes.
    trace = ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", str(STRACE), "-f", "-D", "-qq", "-y", "-o", str(log), "-e",
             "trace=write,execve", "-E", "LSAN_OPTIONS=detect_leaks=0"]
    result = site.run(Job(), prepare_exec=[*trace, *site.argv("prepare", IMAGE)])
    assert result.state == "success", str(result)
    lines = log.read_text(errors="replace").splitlines()
    # Where another process was first to be logged, the result stands in a line of its own.
    begun = [line for line in lines if "systemd-nspawn" in line and line.endswith(("= 0", "<unfinished ...>"))]
    assert SYSTEMD or begun, lines
    moves = [line for line in lines if "/cgroup.procs>" in line and "/container/" not in line.split(">")[0]]
    moves += [line for line in lines if "/container/cgroup.procs>" in line]
    assert SYSTEMD or not moves, moves


@pytest.mark.skipif(not STRACE, reason="strace is not in PATH")
@pytest.mark.parametrize("private_users", (True, False))
def test_killed_while_nspawn_waits(make_site: Callable[..., Site], tmp_path: Path, private_users: bool) -> None:
    """systemd-nspawn waits for a root that never comes: it ends with `supervise`, and has not begun."""
    site = make_site(private_users=private_users)
    log = tmp_path / "log"
    # Its first mount is that of the root; the one before makes the namespace a slave of the host's.
    trace = [str(STRACE), "-f", "-D", "-qq", "-o", str(log), "-e", "trace=execve,mount", "-e",
             "inject=mount:signal=SIGKILL:when=2", "-E", "LSAN_OPTIONS=detect_leaks=0"]
    result = site.run(Job(), prepare_exec=[*trace, *site.argv("prepare", IMAGE)])
    assert SYSTEMD or result.state == "failed", str(result)
    traced = log.read_text(errors="replace")
    assert 'mount("proc", ' not in traced and 'mount("sysfs", ' not in traced, traced
    assert site.job_pids() == [] and site.traces() == []
