# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job used: at the end of its log, and in a file for Prometheus' textfile collector."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

import limits
from lab import IMAGE, Site
from pace import PATIENCE
from simulation.build import Build, Failure
from simulation.jobspec import Job

SOURCE = Path(__file__).resolve().parents[2]

# Without the controller, the kernel counts no memory, and nothing is said of it.
COUNTS_MEMORY = limits.effective() or Path("/sys/fs/cgroup/memory").is_dir()

WORK = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; head -c 3M /dev/zero | tail -c 1 >/dev/null"


def values(file: Path) -> dict[str, float]:
    """The metrics of the only pair of image and project in a file."""
    found = re.findall(r'^nspawn_runner_(\w+)\{image="([^"]*)",project="([^"]*)"\} (\S+)$', file.read_text(), re.MULTILINE)
    assert len({(image, project) for _, image, project, _ in found}) == 1, found
    return {name: float(value) for name, _, _, value in found}


@pytest.mark.supervisor_matters
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


@pytest.mark.supervisor_matters
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


def parsed(text: str) -> dict[str, float]:
    """Samples of a text that Prometheus' own parser accepts as OpenMetrics, by what stands before their values."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser", reason="needs python3-prometheus-client")
    samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            samples[f"{sample.name.removeprefix('nspawn_runner_')}{{{labels}}}"] = sample.value
    return samples


def results(samples: dict[str, float]) -> dict[tuple[str, str], float]:
    """How often jobs ended how, without what did not happen."""
    found = {name: re.fullmatch(r'job_results_total\{result="(\w+)",cause="(\w+)"\}', name) for name in samples}
    return {(match[1], match[2]): samples[name] for name, match in found.items() if match and samples[name]}


def stop(build: Build) -> None:
    """GitLab Runner ends a script."""
    call = build.start_script("echo begun; sleep 1000")
    call.wait_for_output(b"begun")
    call.terminate(PATIENCE, 5)


def test_metrics_command(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """Jobs with each result, what there is beside them, and the ways to ask for all of it."""
    site: Site = make_site(root=tiny_root, shell="/bin/bash", storage="tmpfs", tmpfs_size="16M", kill_timeout="1s",
                           metrics_file=str(tmp_path / "jobs.prom"))
    empty = parsed(site.call("metrics").stdout)
    assert not results(empty) and empty["prepare_seconds_count{}"] == 0
    assert site.run(Job(["true"])).state == "success"
    for script in ("exit 3", "kill -KILL $$", "dd if=/dev/zero of=/large bs=1M count=64"):
        assert site.run(Job([script])).state == "failed", script
    assert site.run(Job(image="not-there")).state == "failed"
    with site.started() as build:
        stop(build)
    with site.started(Job(timeout=1)) as build:
        stop(build)
    with site.started() as build:
        with pytest.raises(Failure):
            build.run_script("false", stage="after_script")
    with site.started() as build:
        call = build.start_script("echo begun; sleep 1000")
        call.wait_for_output(b"begun")
        os.kill(site.supervisor_pid(), signal.SIGKILL)
        assert call.wait() and call.returncode
        now = parsed(site.call("metrics").stdout)
        assert now['containers{kind="job",state="running"}'] + now['containers{kind="job",state="dead"}'] == 1, now
    with site.started():
        now = parsed(site.call("metrics").stdout)
        assert now['containers{kind="job",state="running"}'] == 1 and now['containers{kind="service",state="running"}'] == 0
    (tiny_root / ".trash" / "gone.abc").mkdir(parents=True)
    (tiny_root / ".trash" / "gone.abc" / "file").write_bytes(b"x" * 100000)

    text = site.call("metrics").stdout
    samples = parsed(text)
    assert results(samples) == {("success", "none"): 1, ("failed", "script"): 1, ("failed", "signal"): 1,
                                ("failed", "disk"): 1, ("canceled", "none"): 1, ("failed", "timeout"): 1,
                                ("unfinished", "none"): 2, ("system_failure", "system"): 1}
    assert samples['prepare_failures_total{cause="job"}'] == 1 and samples['prepare_failures_total{cause="system"}'] == 0
    assert samples["prepare_seconds_count{}"] == 9 == samples['prepare_seconds_bucket{le="+Inf"}']
    assert sum(value for name, value in samples.items() if name.startswith("jobs_total{")) == 9
    assert samples[f'image_generations{{image="{IMAGE}"}}'] == 1
    assert samples["file_system_free_bytes{}"] > 0 and 'disk_bytes{kind="trash"}' not in samples
    measured = parsed(site.call("metrics", "--measure").stdout)
    assert measured['disk_bytes{kind="trash"}'] >= 100000 and measured['disk_bytes{kind="images"}'] > 1 << 20
    assert measured["disk_all_bytes{}"] >= measured['disk_bytes{kind="images"}']

    file = tmp_path / "textfile.prom"
    assert site.call("metrics", "--output", str(file)).returncode == 0 and results(parsed(file.read_text())) == results(samples)
    for request, status in ((b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"200 OK"), (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
                            (b"HEAD /metrics HTTP/1.0\r\n\r\n", b"200 OK"), (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 "),
                            (b"\x00\xff" * 10000, b"400 "), (b"", b"400 ")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with subprocess.Popen(site.argv("metrics", "--http"), stdin=theirs, stdout=theirs) as process:
                theirs.close()
                ours.sendall(request)
                ours.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: ours.recv(65536), b""))
                assert process.wait() == 0
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status), answer
        if request.startswith(b"GET /metrics"):
            assert f"Content-Length: {len(body)}\r\n".encode() in head and b"application/openmetrics-text; version=1.0.0" in head
            assert results(parsed(body.decode())) == results(samples)
        assert (status == b"200 OK" and request.startswith(b"GET")) == body.startswith(b"# HELP")


def test_metrics_units(driver: Path, tmp_path: Path) -> None:
    """systemd-analyze has nothing to say about the socket and its service."""
    units = [SOURCE / "systemd/nspawn-runner-metrics.socket", driver.parent / "systemd/nspawn-runner-metrics@.service"]
    for unit in units:
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(text.replace("/usr/local/bin/nspawn-runner", str(driver)), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / units[0].name, tmp_path / "nspawn-runner-metrics@1.service"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    ours = [line for line in done.stderr.splitlines() if "nspawn-runner-metrics" in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.fixture(name="listening")
def fixture_listening(driver: Path, make_site: Callable[..., Site], tiny_root: Path) -> Iterator[tuple[Site, Path]]:
    """A site, and the socket where systemd answers for it, with the units as they are but for what they listen on and call."""
    site = make_site(root=tiny_root, shell="/bin/bash")
    path, units = site.runtime_dir.with_suffix(".metrics"), Path("/run/systemd/system")
    listens, calls = "ListenStream=127.0.0.1:9731\n", "ExecStart=/usr/local/bin/nspawn-runner "
    unit = (SOURCE / "systemd/nspawn-runner-metrics.socket").read_text(encoding="utf-8")
    service = (driver.parent / "systemd/nspawn-runner-metrics@.service").read_text(encoding="utf-8")
    assert listens in unit and calls in service
    units.mkdir(exist_ok=True)
    (units / "nspawn-runner-metrics.socket").write_text(unit.replace(listens, f"ListenStream={path}\n"), encoding="utf-8")
    (units / "nspawn-runner-metrics@.service").write_text(
        service.replace(calls, f"ExecStart={' '.join(site.argv())} "), encoding="utf-8")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "start", "nspawn-runner-metrics.socket"], check=True)
    yield site, path
    subprocess.run(["systemctl", "stop", "nspawn-runner-metrics.socket"], check=True)
    for name in ("nspawn-runner-metrics.socket", "nspawn-runner-metrics@.service"):
        (units / name).unlink()
    path.unlink(missing_ok=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)


@pytest.mark.supervisor_matters
@pytest.mark.needs_systemd
def test_metrics_socket(listening: tuple[Site, Path]) -> None:
    """Confined by its unit, the service sees as much as the command does."""
    site, path = listening
    assert site.call("chroot-copy", IMAGE, "copy").returncode == 0
    with site.started():
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as ours:
                ours.connect(str(path))
                ours.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b"".join(iter(lambda: ours.recv(65536), b"")).decode()
            assert answer.startswith("HTTP/1.1 200 OK\r\n") and answer.endswith("\n# EOF\n"), answer
            expected = [line for line in site.call("metrics").stdout.splitlines() if "free_bytes" not in line]
            found = [line for line in answer.partition("\r\n\r\n")[2].splitlines() if "free_bytes" not in line]
            assert found == expected
        assert 'nspawn_runner_containers{kind="job",state="running"} 1' in found
        assert 'nspawn_runner_image_generation_number{image="copy"} 1' in found, found
