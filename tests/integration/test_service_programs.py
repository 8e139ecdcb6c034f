# SPDX-License-Identifier: GPL-3.0-or-later
"""Services with the programs that pipelines use: PostgreSQL, MariaDB, Redis and nginx, and an image of a registry; and
how dbus-broker, polkit and the commands of System V init get on with a systemd that starts on first use."""

import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from lab import Lab
from simulation.gitlabrunner import Job

IMAGE = "servers"
DEFINITION = """\
- hosts: all
  vars:
    nspawn_runner_chroot_suite: bookworm
    nspawn_runner_packages: [systemd, systemd-sysv, dbus, postgresql, mariadb-server, redis-server, nginx-light, curl,
                             dbus-broker, polkitd, pkexec]
    nspawn_runner_service_ports: [6379]
"""


def change(path: Path, text: str, *, append: bool = False) -> None:
    """Another content for a file that other trees may share."""
    before = path.read_text() if append else ""
    path.unlink(missing_ok=True)
    path.write_text(before + text)


@pytest.fixture(name="servers", scope="module")
def fixture_servers(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An image root with an image of the servers, as Debian configures them, but for who may connect."""
    root = lab.outside / "servers-root"
    root.mkdir()
    given = request.config.getoption("--services-dir")
    (root / f"{IMAGE}.yaml").write_text(DEFINITION)
    if given:
        lab.link_tree(Path(given), root / IMAGE)
    else:
        subprocess.run([lab.driver, "--root", root, "chroot-create", IMAGE], check=True)
    etc = root / IMAGE / "etc"
    (postgres,) = (etc / "postgresql").glob("*/main")
    (postgres / "conf.d/ci.conf").write_text("listen_addresses = '*'\n")
    owner = (postgres / "pg_hba.conf").stat()
    change(postgres / "pg_hba.conf", "host all all all trust\n", append=True)
    os.chown(postgres / "pg_hba.conf", owner.st_uid, owner.st_gid)
    change(etc / "mysql/mariadb.conf.d/99-ci.cnf", "[mysqld]\nbind-address = *\nskip-grant-tables\n")
    owner = (etc / "redis/redis.conf").stat()
    change(etc / "redis/redis.conf", "\nbind * -::*\nprotected-mode no\n", append=True)
    os.chown(etc / "redis/redis.conf", owner.st_uid, owner.st_gid)
    yield root
    host.remove_tree(root)


def service(alias: str, *command: str, port: int = 0, name: str = IMAGE, **more: Any) -> dict[str, Any]:
    """A service as GitLab has it."""
    variables = [{"key": "HEALTHCHECK_TCP_PORT", "value": str(port), "public": True}] if port else []
    return {"name": name, "alias": alias, "entrypoint": None, "command": list(command) or None, "variables": variables,
            **more}


SCRIPT = """
set -eu
psql -h pg -U postgres -Atc "select 'postgres ' || 1"
mariadb -h maria -Ne "select 'mariadb', 2"
redis-cli -h first set key 3 >/dev/null
redis-cli -h first get key
redis-cli -h second get key
curl -sf http://web/ | grep -c '<h1>Welcome to nginx'
! curl -sf http://localhost/
"""


def test_commands(make_site: Callable[..., Any], servers: Path) -> None:
    """Each program by itself, two of one kind; the job has the clients."""
    postgres = ("install -d -o postgres /run/postgresql; exec runuser -u postgres -- sh -c 'exec "
                "/usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main -c "
                "config_file=$(echo /etc/postgresql/*/main/postgresql.conf)'")
    job = Job(image=IMAGE, services=[
        service("pg", "sh", "-c", postgres, port=5432),
        service("maria", "sh", "-c", "install -d -o mysql /run/mysqld; exec mariadbd --user=mysql", port=3306),
        service("first", "redis-server", "--bind", "*", "--protected-mode", "no", port=6379),
        service("second", "redis-server", "--bind", "*", "--protected-mode", "no", port=6379),
        service("web", "nginx", "-g", "daemon off;", port=80)])
    site = make_site(root=servers, network="private")
    with site.started(job) as build:
        assert "properly" not in bytes(build.log).decode(), bytes(build.log).decode()
        output = build.run_script(SCRIPT).stdout.decode()
        assert output.split("\n")[:5] == ["postgres 1", "mariadb\t2", "3", "", "1"], output


# As apt has them installed: each maintainer script starts its server, or says that it could not.
INSTALL = """
set -eu
dpkg --purge --force-depends nginx nginx-common nginx-light >/dev/null 2>&1
export DEBIAN_FRONTEND=noninteractive
dpkg --install /var/lib/packages/*.deb 2>&1 | tail -n 40
for unit in nginx ssh systemd-resolved; do systemctl is-active $unit; done
curl -sf http://localhost/ | grep -c '<h1>Welcome to nginx'
head -c 4 </dev/tcp/localhost/22; echo
readlink /etc/resolv.conf
resolvectl query localhost | grep -c 127.0.0.1
dpkg --audit
"""


def test_installed_in_a_job(make_site: Callable[..., Any], servers: Path) -> None:
    """Servers on ports below 1024, and the resolver, which has to have its own resolv.conf: installing them ends well."""
    site = make_site(root=servers, network="private", boot="yes")
    with site.started(Job(image=IMAGE)) as build:
        output = build.run_script(INSTALL).stdout.decode()
        assert output.split("\n")[-8:] == ["active", "active", "active", "1", "SSH-",
                                           "../run/systemd/resolve/stub-resolv.conf", "1", ""], output


@pytest.mark.supervisor_matters
def test_booted(make_site: Callable[..., Any], servers: Path) -> None:
    """The image as it is: its systemd starts all that is enabled in it."""
    site = make_site(root=servers, network="private")
    with site.started(Job(image=IMAGE, services=[service("all")])) as build:
        assert "properly" not in bytes(build.log).decode(), bytes(build.log).decode()
        script = SCRIPT
        for name in ("pg", "maria", "first", "web"):
            script = script.replace(f"-h {name} ", "-h all ").replace(f"//{name}/", "//all/")
        output = build.run_script(script.replace("-h second", "-h all")).stdout.decode()
        assert output.split("\n")[:5] == ["postgres 1", "mariadb\t2", "3", "3", "1"], output
        journal = site.call("logs", str(build.job.number), "all").stdout
        assert "Started postgresql" in journal or "PostgreSQL" in journal, journal


# What an image of a server has beside its programs and their libraries, and what its configuration says.
SERVERS: dict[str, dict[str, Any]] = {
    "postgres": {"files": ("usr/lib/postgresql", "usr/share/postgresql", "etc/postgresql", "var/lib/postgresql", "usr/lib/locale/C.utf8",
                           "usr/share/zoneinfo"),
                 "programs": ("/usr/lib/postgresql/*/bin/postgres",), "left_out": ("llvmjit*", "bitcode"), "port": 5432,
                 "user": "postgres", "entrypoint": ("/bin/sh", "-c"),
                 "command": ("exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main -c ssl=off "
                             "-c unix_socket_directories= -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf)",)},
    "mariadb": {"files": ("usr/share/mysql", "usr/share/mariadb", "etc/mysql", "var/lib/mysql"), "programs": ("/usr/sbin/mariadbd",),
                "left_out": (), "port": 3306, "user": "mysql", "entrypoint": ("mariadbd",),
                "command": ("--skip-grant-tables", "--socket=/tmp/mysqld.sock", "--pid-file=/tmp/mysqld.pid")},
    "redis": {"files": ("etc/redis",), "programs": ("/usr/bin/redis-server",), "left_out": (), "port": 6379, "user": "redis",
              "entrypoint": ("redis-server",), "command": ("--bind", "*", "--protected-mode", "no", "--dir", "/tmp")},
}


def server_layout(image: Path, where: Path, server: dict[str, Any]) -> Path:
    """Makes an OCI layout of a server of the image with umoci, as small as images of servers are."""
    script = "; ".join((
        "set -e", "programs=$(echo " + " ".join(server["programs"]) + " /bin/sh)",
        "libraries=$(ldd $programs | grep -o '/[^ ]* (0x' | cut -d' ' -f1 | sort -u)",
        "exec tar -c " + " ".join(f"--exclude='{name}'" for name in server["left_out"])
        + " --hard-dereference $(for f in $programs $libraries; do readlink -e $f; echo $(readlink -e ${f%/*})/${f##*/}; done | cut -c2- | sort -u)"
        + " bin lib lib64 sbin etc/passwd etc/group etc/nsswitch.conf etc/ssl tmp "
        + " ".join(name for name in server["files"] if (image / name).exists())))
    where.mkdir()
    with open(where / "layer.tar", "wb") as layer:
        done = subprocess.run(["chroot", image, "/bin/sh", "-c", "cd /; " + script], stdout=layer, check=False)
    # 1: others have made or removed links to the files meanwhile, which tar takes for a change.
    assert done.returncode in (0, 1), done
    name = f"{where}/layout:image"
    options = [f"--config.exposedports={server['port']}/tcp", f"--config.user={server['user']}",
               *(f"--config.entrypoint={word}" for word in server["entrypoint"]),
               *(f"--config.cmd={word}" for word in server["command"])]
    for arguments in (["init", "--layout", where / "layout"], ["new", "--image", name],
                      ["raw", "add-layer", "--image", name, where / "layer.tar"], ["config", "--image", name, *options]):
        subprocess.run(["umoci", *arguments], check=True, capture_output=True)
    (where / "layer.tar").unlink()
    return where / "layout"


def test_servers_of_a_registry(make_site: Callable[..., Any], servers: Path, lab: Lab, tmp_path: Path,
                               monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases as images of a registry, which the job only names: what they run, as whom, and when they are ready is in
    them; they are fetched side by side; their names are made of the registry's."""
    with ociimage.registry(lab.base / "database-registry") as registry:
        for key, value in registry.environment().items():
            monkeypatch.setenv(key, value)
        services = []
        for name, server in SERVERS.items():
            reference = registry.push(server_layout(servers / IMAGE, tmp_path / name, server), f"library/{name}:1")
            services.append({"name": reference, "alias": "", "entrypoint": None, "command": None})
        site = make_site(root=servers, network="private", pull="if-not-present")
        with site.started(Job(image=IMAGE, services=services)) as build:
            assert "properly" not in bytes(build.log).decode(), bytes(build.log).decode()
            output = build.run_script("""
                psql -h 127.0.0.1-library-postgres -U postgres -Atc "select 'postgres ' || 1"
                mariadb -h 127.0.0.1-library-mariadb -Ne "select 'mariadb', 2"
                redis-cli -h 127.0.0.1__library__redis ping
            """).stdout.decode()
            assert output == "postgres 1\nmariadb\t2\nPONG\n", output
    host.remove_tree(lab.base / "database-registry")
    host.remove_tree(servers / ".oci")


# Each is the first to ask for systemd in a container of its own; dbus-broker is the image's D-Bus.
ASKING = (
    "busctl call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s org.freedesktop.DBus; "
    "systemctl show -P Id dbus; systemctl is-active dbus-broker.service",
    "pkcheck --action-id org.freedesktop.policykit.exec --process $$; echo $?; pkexec id -u; "
    "setpriv --reuid nobody --clear-groups pkcheck --action-id org.freedesktop.policykit.exec --process 1; echo $?",
    "telinit q; echo $?",
)


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("script", ASKING)
def test_first_use(make_site: Callable[..., Any], servers: Path, script: str) -> None:
    """The same answers as in a container that has booted before."""
    answers = []
    for boot in ("eager", "yes"):
        with make_site(root=servers, boot=boot).started(Job(image=IMAGE)) as build:
            answers.append(build.run_script(script, raw=True).stdout.decode())
    assert answers[0] and answers[0] == answers[1], answers


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("command, what", (("init 0", "switched off"), ("telinit 6", "rebooted from inside")))
def test_end(make_site: Callable[..., Any], servers: Path, command: str, what: str) -> None:
    """The commands of System V init end a container whose systemd has not started yet."""
    with make_site(root=servers, boot="yes").started(Job(image=IMAGE)) as build:
        call = build.start_script(f"{command}; sleep 1000\n", raw=True)
        assert call.wait() and call.returncode == 1 and what in call.output, call.output


def test_registry(make_site: Callable[..., Any], tiny_root: Path, lab: Lab, tmp_path: Path,
                  monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of a registry: what its configuration says about services, names, allowed_services."""
    def more(tar: ociimage.Tar) -> None:
        for name in ("httpd", "wget"):
            tar.hardlink("bin/" + name, "bin/busybox", mode=0o755)
        tar.directory("www").add("www/index.html", b"from the image\n")

    layout = tmp_path / "layout"
    ociimage.busybox_layout(layout, more, Entrypoint=["/bin/httpd", "-f", "-p"], Cmd=["8080"], WorkingDir="/www",
                            ExposedPorts={"8080/tcp": {}}, Volumes={"/data/new": {}})
    with ociimage.registry(lab.base / "service-registry") as registry:
        for key, value in registry.environment().items():
            monkeypatch.setenv(key, value)
        image = registry.push(layout, "group/web_server:1.2")
        site = make_site(root=tiny_root, network="private", pull="if-not-present",
                         allowed_services=["127.0.0.1:*/group/*"])
        job = Job(image=image, services=[
            {"name": image, "alias": "", "entrypoint": None, "command": None},
            {"name": image, "alias": "other", "entrypoint": ["/bin/httpd"], "command": ["-f", "-p", "8080"]}])
        with site.started(job) as build:
            log = bytes(build.log).decode()
            assert "properly" not in log, log
            script = "; ".join(f"wget -qO- http://{name}:8080/" for name in (
                "127.0.0.1-group-web_server", "127.0.0.1__group__web_server", "other"))
            assert build.run_script(script, raw=True).stdout == b"from the image\n" * 3
        other = {"name": "127.0.0.1:1/other/x", "alias": "", "entrypoint": None, "command": None}
        refused = site.run(Job(services=[other]))
        assert refused.failure_reason == "script_failure", str(refused)
        assert "is not among this runner's allowed_services: name another image" in refused.log, str(refused)
    host.remove_tree(lab.base / "service-registry")
