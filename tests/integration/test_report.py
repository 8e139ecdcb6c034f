# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job used: at the end of its log, and in a file for Prometheus' textfile collector."""

import re
from pathlib import Path

import pytest

import limits
from lab import IMAGE
from simulation.build import Build
from simulation.jobspec import Job

# Without the controller, the kernel counts no memory, and nothing is said of it.
COUNTS_MEMORY = limits.effective() or Path("/sys/fs/cgroup/memory").is_dir()

WORK = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; head -c 3M /dev/zero | tail -c 1 >/dev/null"


def values(file: Path) -> dict[str, float]:
    """The metrics of the only pair of image and project in a file."""
    found = re.findall(r'^nspawn_runner_(\w+)\{image="([^"]*)",project="([^"]*)"\} (\S+)$', file.read_text(), re.MULTILINE)
    assert len({(image, project) for _, image, project, _ in found}) == 1, found
    return {name: float(value) for name, _, _, value in found}


@pytest.mark.host_matters
def test_report(make_site) -> None:
    """The last lines of the log, also of a job that fails; nothing by default."""
    site = make_site(report=True)
    for script in (WORK, f"{WORK}; false"):
        log = site.run(Job([script])).log
        used = next(line for line in log.splitlines() if "The job used " in line)
        assert re.search(r"used \d+\.\ds of CPU time", used), used
        assert bool(re.search(r", at most \d+(\.\d)?[KMG] of memory", used)) >= COUNTS_MEMORY, used
        steps = next(line for line in log.splitlines() if "Its steps took " in line)
        assert re.search(r"took prepare \d+\.\ds, prepare_script \d+\.\ds, .*build_script \d+\.\ds", steps), steps
        assert log.index("The job used ") > log.index("Its steps took ") - 1000 and log.count("The job used") == 1
    assert "The job used" not in make_site().run(Job()).log


@pytest.mark.host_matters
def test_metrics(make_site, tmp_path: Path) -> None:
    """Each job is counted once, however often cleanup is called and however the job ends."""
    file = tmp_path / "nspawn-runner.prom"
    site = make_site(metrics_file=str(file))
    site.run(Job([WORK]))
    first = values(file)
    assert first["jobs_total"] == 1 and first["cpu_seconds_total"] > 0 and first["step_seconds_total"] > 0, first
    assert (first.get("memory_peak_bytes", 0) > 1 << 20) >= COUNTS_MEMORY, first
    site.run(Job(["false"]))
    with site.started():
        pass
    assert values(file)["jobs_total"] == 3 and values(file)["cpu_seconds_total"] > first["cpu_seconds_total"]
    builds = [Build(site.runner(), Job()).begin() for _ in range(2)]
    calls = [build.start("cleanup", build.runner.cleanup_exec) for build in builds]
    for call in calls:
        assert call.wait() and call.returncode == 0, str(call)
    assert values(file)["jobs_total"] == 5
    assert f'image="{IMAGE}"' in file.read_text() and file.stat().st_mode & 0o777 == 0o644
    assert site.traces() == []


def test_metrics_fail(make_site, tmp_path: Path) -> None:
    """A file that cannot be written is no reason to fail a job, or to leave something of it."""
    site = make_site(metrics_file=str(tmp_path / "none/nspawn-runner.prom"))
    with site.started() as build:
        assert build.run_script("echo runs").stdout == b"runs\n"
        call = build.cleanup()
        assert call and call.returncode == 0 and "metrics_file" in call.stderr.decode(), str(call)
