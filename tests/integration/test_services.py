# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of jobs: names, addresses, variables, waiting, logs, ends, and that nothing of them is left."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import host
import pytest
from lab import IMAGE
from pace import wait_until
from simulation.build import Build
from simulation.gitlabrunner import Job
from terminal import Terminal

# Answers each connection with what it has as its environment, directory and user.
ANSWER = """
import json, os, socket, sys
server = socket.create_server(("", int(sys.argv[1])))
print("listening", flush=True)
while True:
    connection = server.accept()[0]
    answer = {"environment": dict(os.environ), "directory": os.getcwd(), "uid": os.getuid()}
    connection.sendall(json.dumps(answer).encode())
    connection.close()
"""
# Prints what the server at $1:$2 answers.
ASK = ('python3 -c "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)'
       '.makefile().read())" ')


def variables(**values: str) -> list[dict[str, Any]]:
    """Variables of a service, as GitLab has them."""
    return [{"key": key, "value": value, "public": True} for key, value in values.items()]


def service(*command: str, alias: str = "", name: str = IMAGE, port: int | None = None, **more: Any) -> dict[str, Any]:
    """A service as GitLab has it; it is waited for if @port is given."""
    own = variables(HEALTHCHECK_TCP_PORT=str(port)) if port else []
    return {"name": name, "alias": alias, "entrypoint": None, "command": list(command) or None,
            "variables": own + more.pop("variables", []), **more}


def answering(port: int, alias: str = "", **more: Any) -> dict[str, Any]:
    """One that answers at @port."""
    return service("python3", "-c", ANSWER, str(port), alias=alias, port=port, **more)


@pytest.fixture
def lone(make_site):
    """A site whose jobs have networks of their own."""
    return make_site(network="private")


def log_of(build) -> str:
    """The job's log until now."""
    return bytes(build.log).decode()


@pytest.mark.supervisor_matters
def test_services(lone) -> None:
    """Two of one kind with the same port; each has an address, names, variables and log of its own."""
    docker = {"executor_opts": {"docker": {"platform": "linux/arm64"}}}
    job = Job(image=IMAGE, services=[answering(5432, "one, first", variables=variables(MINE="1", PASSWORD="$TOKEN"), **docker),
                                     answering(5432, "two", variables=variables(MINE="2"), **docker)],
              variables=[("TOKEN", "secret", False), ("SHOWN", "yes")])
    with lone.started(job) as build:
        assert "Waiting for services" in log_of(build) and "properly" not in log_of(build), log_of(build)
        assert f"the name '{IMAGE}' is taken already" in log_of(build)
        assert log_of(build).count("'platform' of services is ignored") == 1, log_of(build)
        one = json.loads(build.run_script(ASK + "one 5432").stdout)
        environment = one["environment"]
        assert environment["HOSTNAME"] and environment["MINE"] == "1" and environment["SHOWN"] == "yes" and environment["PASSWORD"] == "secret"
        assert "TOKEN" not in environment and "CI_JOB_TOKEN" not in environment and "CI_SERVER" in environment
        assert json.loads(build.run_script(ASK + "two 5432").stdout)["environment"]["MINE"] == "2"

        addresses = build.run_script("getent ahostsv4 one first two build $(hostname) debian | grep STREAM").stdout.decode()
        assert len(set(line.split()[0] for line in addresses.splitlines())) == 3, addresses
        refused = build.run_script(f"! {ASK} localhost 5432 2>&1").stdout.decode()
        assert "refused" in refused, refused
        # ... and they reach each other, and the job
        assert lone.call("logs", str(job.number), "first").stdout == "listening\n"
        rows = json.loads(lone.call("status", "--json").stdout)["jobs"]
        assert [row["service"] for row in rows] == [None, IMAGE, "two"], rows
        assert addresses.startswith(rows[1]["address"]) and len({row["address"] for row in rows}) == 3, (rows, addresses)
        assert {row["state"] for row in rows} == {"running"} and rows[1]["id"] == rows[0]["id"] + ".s1"
        # what they used together, wherever control groups count it
        used = [row["cpu"] for row in rows]
        assert rows[1]["cpu_with_services"] is None and (rows[0]["cpu_with_services"] or 0) >= (used[0] or 0), rows
        assert ("(together)" in lone.call("status").stdout) == any(rows[0][f"{what}_with_services"] is not None
                                                                   for what in ("cpu", "memory")), rows


def test_names_that_no_host_has(lone) -> None:
    """An alias that is no host name is a name of the service all the same."""
    job = Job(image=IMAGE, services=[answering(80, "under_score"), answering(80, "first-")])
    with lone.started(job) as build:
        for name in ("first-", "under_score"):
            assert build.run_script(ASK + f"{name} 80").stdout.startswith(b"{"), name


def test_very_many_names(lone) -> None:
    """As many names as fit are known to all; more are the job's own fault."""
    names = [f"n{number:03}-{'x' * 50}" for number in range(290)]
    with lone.started(Job(image=IMAGE, services=[answering(80, " ".join(names))])) as build:
        assert build.run_script(ASK + f"{names[-1]} 80").stdout.startswith(b"{")
    result = lone.run(Job(image=IMAGE, services=[answering(80, " ".join(names)), answering(81, " ".join(f"m{n}" for n in names))]))
    assert result.failure_reason == "script_failure" and "too long" in result.log, str(result)


def test_each_other(lone) -> None:
    """Services reach each other and the job, and share its directories with it."""
    script = """
import socket, time
def connect(*address):
    while True:
        try:
            return socket.create_connection(address, 60)
        except OSError:
            time.sleep(0.05)
seen = connect("back", 5432).makefile().read()
open("/builds/seen", "w").write(seen[:1])
socket.create_server(("", 7)).accept()
connect("build", 99).sendall(b"from the service")
"""
    job = Job(image=IMAGE, services=[answering(5432, "back"), service("python3", "-c", script, alias="front", port=7)])
    with lone.started(job) as build:
        answer = build.run_script(
            "cat /builds/seen; python3 -c \"import socket; server = socket.create_server(('', 99)); "
            "kept = socket.create_connection(('front', 7)); print(server.accept()[0].makefile().read())\"").stdout
        assert answer == b"{from the service\n"


def test_no_network(make_site) -> None:
    """`none`: the services are reachable, nothing else is. `host`: there are none."""
    site = make_site(network="none")
    with site.started(Job(image=IMAGE, services=[answering(80, "web")])) as build:
        assert build.run_script(ASK + "web 80").stdout.startswith(b"{")
        answer = build.run_script(f"! {ASK} 192.0.2.1 80 2>&1").stdout
        assert b"Error" in answer, answer
    result = make_site(network="host").run(Job(image=IMAGE, services=[answering(80)]))
    assert result.failure_reason == "script_failure" and "network: host" in result.log, str(result)


@pytest.mark.supervisor_matters
def test_ends(lone) -> None:
    """What crashes, hangs, or cannot be started: a warning with its last lines, and the job goes on."""
    lone.settings["wait_for_services_timeout"] = "2s"
    lone.write_config()
    job = Job(["exit 7"], image=IMAGE, services=[
        service("sh", "-c", "echo dying >&2; exit 3", alias="dying", port=1),
        service("sh", "-c", "echo hanging; exec sleep 1000", alias="hanging", port=2)])
    result = lone.run(job)
    assert result.exit_code == 7, str(result)
    for text in (f"'{IMAGE}': *** The service probably didn't start properly: its command ended with exit status 3",
                 "  dying\n", "'hanging': *** The service probably didn't start properly: it does not listen on its port",
                 "  hanging\n", f"Service '{IMAGE}' does not run any more: its command ended with exit status 3\n"):
        assert text in result.log.replace("\r", ""), (text, result.log)
    assert "'hanging' does not run" not in result.log
    result = lone.run(Job(image=IMAGE, services=[service("/no/such/program", port=1)]))
    assert result.failure_reason == "script_failure" and "/no/such/program" in result.log, str(result)
    result = lone.run(Job(image=IMAGE, services=[service("true", name="nothing-here", port=1)]))
    assert result.failure_reason == "script_failure" and "no image 'nothing-here'" in result.log, str(result)


def test_limits_and_report(make_site, tmp_path: Path) -> None:
    """What a service runs into is said as what the job does, by its name; report and metrics have what services used."""
    metrics = tmp_path / "nspawn-runner.prom"
    site = make_site(network="private", storage="tmpfs", tmpfs_size="32M", report=True, metrics_file=str(metrics))
    script = "dd if=/dev/zero of=/big bs=1M 2>/dev/null; i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; " \
             "exec python3 -c '" + ANSWER.replace("'", '"') + "' 80"
    result = site.run(Job(["false"], image=IMAGE, services=[service("sh", "-c", script, alias="full", port=80)]))
    assert f"Service '{IMAGE}': The service used up its 32M of disk (tmpfs_size)" in result.log, str(result)
    assert re.search(f"The job used .*Service '{IMAGE}' used .*Its steps took", result.log, re.DOTALL), str(result)
    of_job, of_service, together = map(float, re.findall(r" used (\d+\.\d)s of CPU time", result.log))
    assert "Together they used " in result.log and together >= of_job + of_service - 0.1, result.log
    counted = re.search(r"^nspawn_runner_cpu_seconds_total\S+ (\S+)$", metrics.read_text(), re.MULTILINE)
    assert of_service > 0.1 and counted and float(counted[1]) >= of_job + of_service - 0.1, (counted, result.log)


def test_slow(lone) -> None:
    """The job begins when the service listens, and not before, however long that takes; its time is what the test gives."""
    lone.settings["wait_for_services_timeout"] = "1h"
    lone.write_config()
    script = "while [ ! -e /builds/go ]; do sleep 0.05; done; exec python3 -c '" + ANSWER.replace("'", '"') + "' 80"
    build = Build(lone.runner(), Job(image=IMAGE, services=[service("sh", "-c", script, alias="slow", port=80)]))
    build.start_attempt()
    build.config()
    build.start_build()
    call = build.start("prepare", build.runner.prepare_exec)
    try:
        while "Waiting for services" not in call.stderr.decode():
            assert not call.wait(0.02), call.output
        assert not call.wait(1), call.output
        (layer,) = [layer for layer in lone.root.glob(".layers/*") if not layer.name.endswith(".s1")]
        (layer / "volumes/builds/go").touch()
        assert call.wait() and call.returncode == 0 and "properly" not in call.stderr.decode(), call.output
        assert build.run_script(ASK + "slow 80").stdout.startswith(b"{")
    finally:
        build.cleanup()
    assert lone.traces() == []


@pytest.mark.supervisor_matters
def test_systemd_never_answers(make_site, lab, tiny_root) -> None:
    """A service that boots, and in which nothing answers, or without end, does not keep the job waiting. What its journal
    says to `logs` does nothing to a terminal."""
    sly = "case $* in *--lines=all*) printf 'a\\033]52;c;eA==\\ab\\n'; printf '\\033[2Jc\\n' >&2; exit;; esac; yes"
    subprocess.run(["cp", "-a", "--reflink=auto", lab.image(), tiny_root / "deaf"], check=True)
    for name in ("systemctl", "journalctl"):
        program = tiny_root / "deaf/usr/bin" / name
        program.unlink()
        program.write_text(f"#!/bin/sh\n{sly}\n" if name == "journalctl" else "#!/bin/sh\nexec sleep 1000\n")
        program.chmod(0o755)
    site = make_site(root=tiny_root, network="private", wait_for_services_timeout="1s")
    deaf = {"name": "deaf", "alias": "", "entrypoint": None, "command": None, "variables": []}
    with site.started(Job(image=IMAGE, services=[deaf])) as build:
        assert "probably didn't start properly" in log_of(build), log_of(build)
        assert build.run_script("true").returncode == 0
        done = site.call("logs", str(build.job.number), "1")
        assert done.stdout.endswith("a\033]52;c;eA==\ab\n") and "\033[2Jc\n" in done.stderr, str(done)
        with Terminal(site.argv("logs", str(build.job.number), "1")) as terminal:
            assert terminal.wait() == 0
            assert b"ab\r\n" in terminal.seen and b"c\r\n" in terminal.seen, terminal.seen
            assert b"\033" not in terminal.seen.replace(b"\033[0m", b""), terminal.seen


@pytest.mark.supervisor_matters
def test_output(lone) -> None:
    """CI_DEBUG_SERVICES: output in the job's log with the service's names, each line once; a flood keeps its end."""
    script = "echo begun; echo error > /dev/stderr; exec python3 -c '" + ANSWER.replace("'", '"') + "' 80"
    job = Job(image=IMAGE, services=[service("sh", "-c", script, alias="web", port=80, user="nobody")],
              variables=[("CI_DEBUG_SERVICES", "true")])
    with lone.started(job) as build:
        def is_shown() -> bool:
            build.run_script("true")
            return "listening" in log_of(build)
        wait_until(is_shown)  # the port is open a moment before
        build.run_script("true")
        lines = re.findall(r"\[service:debian-web\] (\w+)", log_of(build))
        assert sorted(lines) == ["begun", "error", "listening"], log_of(build)
    # No script waits for the end of what has none.
    endless = Job(image=IMAGE, services=[service("yes", "", alias="flood")], variables=[("CI_DEBUG_SERVICES", "true")])
    with lone.started(endless) as build:
        assert build.run_script("sleep 0.3").returncode == 0
        assert build.run_script("true").returncode == 0
    # What a service prints does nothing to the terminal of who looks at it, and is whole in a pipe.
    sly = service("sh", "-c", "printf 'a\\033]52;c;eA==\\ab \\033[31mred\\n'; sleep 1000", alias="sly")
    with lone.started(Job(image=IMAGE, services=[sly])) as build:
        call = ("logs", str(build.job.number), "1")
        wait_until(lambda: "red" in lone.call(*call).stdout)
        assert "a\033]52;c;eA==\ab \033[31mred\n" in lone.call(*call).stdout
        with Terminal(lone.argv(*call)) as terminal:
            assert terminal.wait() == 0
            assert b"ab \033[31mred\033[0m\r\n" in terminal.seen and b"\033]" not in terminal.seen, terminal.seen
    flood = service("sh", "-c", "yes $(seq 100) | head -c 3000000; echo end; sleep 1000", alias="flood")
    with lone.started(Job(image=IMAGE, services=[flood])) as build:
        wait_until(lambda: "end\n" in lone.call("logs", str(build.job.number), "1").stdout)
        log = lone.call("logs", str(build.job.number), "1")
        assert 500_000 < len(log.stdout) < 2_000_000 and "not kept" in log.stderr


def supervise_of(site, service: str) -> int:
    """The process that keeps the job's container, or with ".s1" that of its first service."""
    (pid,) = [pid for pid in site.job_pids()
              if re.search(rf"supervise \S+jobs/[^.\s]+{service}$", host.processes().get(pid, ""))]
    return pid


def kill(pid: int) -> None:
    """Returns when it is gone."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in host.processes())


@pytest.mark.supervisor_matters
def test_killed(lone) -> None:
    """Whatever is killed: `cleanup` leaves nothing of any container, and `gc` neither. A service's end is not the job's."""
    job = Job(image=IMAGE, services=[answering(80, "web")])
    with lone.started(job):
        for pid in lone.job_pids():
            host.kill(pid)
    with lone.started(Job(image=IMAGE, services=[answering(80, "web"), answering(80, "other")])) as build:
        kill(supervise_of(lone, ".s1"))
        rows: list[dict[str, Any]] = []

        def has_ended() -> bool:
            rows[:] = json.loads(lone.call("status", "--json").stdout)["jobs"]
            return rows[1]["state"] != "running"
        wait_until(has_ended)
        assert [row["state"] for row in rows] == ["running", "ended", "running"], rows
        assert build.run_script(ASK + "other 80").stdout.startswith(b"{")
        kill(supervise_of(lone, ""))
        assert lone.call("gc").returncode == 0
        assert lone.jobs() == [] and lone.layers() == [] and lone.container_pids() == []


@pytest.mark.supervisor_matters
def test_prepare_ended(lone) -> None:
    """A `prepare` that is killed or cancelled at any moment leaves nothing that `cleanup` does not remove."""
    slow = service("sleep", "1000", alias="slow", port=1)
    for wait, number in ((0.0, signal.SIGKILL), (0.05, signal.SIGKILL), (0.2, signal.SIGTERM), (0.5, signal.SIGKILL),
                         (None, signal.SIGTERM)):
        build = Build(lone.runner(), Job(image=IMAGE, services=[slow, answering(80, "web")]))
        build.start_attempt()
        build.config()
        call = build.start("prepare", lone.runner().prepare_exec)
        while wait is None and "Waiting for services" not in call.stderr.decode():
            assert not call.wait(0.02), call.output
        call.wait(wait or 0)
        os.kill(call.process.pid, number)
        call.wait()
        assert wait is not None or "Cancelled while the job's services were starting" in call.stderr.decode(), call.output
        assert build.cleanup().returncode == 0
        assert lone.traces() == []


def test_what_bind_names(make_site, tmp_path: Path) -> None:
    """A directory that `bind` mounts on /cache, or in it, is what a job with services has there."""
    (tmp_path / "file").write_text("bound")
    for target in ("/cache", "/cache/in/it"):
        site = make_site(network="private", bind=[f"{tmp_path}:{target}"])
        with site.started(Job(image=IMAGE, services=[answering(5432, "one")])) as build:
            assert build.run_script(f"cat {target}/file").stdout == b"bound"
