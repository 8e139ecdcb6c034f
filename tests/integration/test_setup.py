# SPDX-License-Identifier: GPL-3.0-or-later
"""setup: from an installed program to a runner that takes jobs."""

import os
import tomllib
from pathlib import Path
from typing import Any, Callable

import pytest

import host
from lab import Lab, Site
from maintenance import copy_of, define
from simulation.jobspec import Job
from terminal import Terminal

TOKEN, OTHER_TOKEN = "glrt-SECRET_1.x", "glrt-typed"
BEFORE = """\
# Ours: do not change by hand.
concurrent = 4

[[runners]]   # for windows
  name = "elsewhere"
  executor = "docker"
  token = 'theirs'
  [runners.docker]
    volumes = [
      "/cache",   # shared
    ]
"""


@pytest.fixture(name="fresh")
def fixture_fresh(lab: Lab, make_site: Callable[..., Site], tmp_path: Path) -> Any:
    """A site without images, which has definitions that make them in no time, and the directory of a GitLab Runner."""
    site = make_site(root=tmp_path / "images", boot=False)
    for image in ("first", "helper"):
        define(site, image, command=copy_of(lab.tiny_image()))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "gitlab-runner").mkdir()
    yield site
    host.remove_tree(tmp_path / "images")


def arguments(tmp_path: Path, *more: str) -> list[str]:
    """The call, with places of the test's own."""
    return ["setup", "first", "--toml", str(tmp_path / "gitlab-runner/config.toml"), *more]


def test_from_nothing_to_a_job(fresh: Site, tmp_path: Path) -> None:
    """It says what it would do, does it, and does it only once; what is there stays."""
    toml, token = tmp_path / "gitlab-runner/config.toml", ("--token-file", str(tmp_path / "token"))
    toml.write_text(BEFORE)
    toml.chmod(0o640)

    done = fresh.call(*arguments(tmp_path))
    assert done.returncode == 2 and "--url" in done.stderr, str(done)
    done = fresh.call(*arguments(tmp_path, "--url", "gitlab.example.com", *token))
    assert done.returncode == 2 and "no address" in done.stderr, str(done)
    done = fresh.call(*arguments(tmp_path, "--url", "https://gitlab.example.com/"))
    assert done.returncode == 2 and "--token-file" in done.stderr, "there is no terminal"
    done = fresh.call(*arguments(tmp_path, "--url", "https://gitlab.example.com/", "--dry-run", *token))
    assert done.returncode == 0 and 'token = "(hidden)"' in done.stdout and TOKEN not in str(done), str(done)
    assert done.stdout.count("would be made") == 2 and "would be added" in done.stdout, done.stdout
    assert toml.read_text() == BEFORE and not fresh.root.exists()

    done = fresh.call(*arguments(tmp_path, "--url", "https://gitlab.example.com/", *token))
    assert done.returncode == 0 and "was added" in done.stdout and TOKEN not in str(done), str(done)
    assert sorted(path.name for path in fresh.root.iterdir() if path.name[0] != ".") == ["first", "helper"]
    assert toml.read_text().startswith(BEFORE) and toml.stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in toml.parent.iterdir()] == ["config.toml"]
    theirs, ours = tomllib.loads(toml.read_text())["runners"]
    assert theirs == tomllib.loads(BEFORE)["runners"][0]
    assert (ours["name"], ours["url"], ours["token"]) == ("nspawn-runner first", "https://gitlab.example.com/", TOKEN)

    custom = ours["custom"]
    argv = {f"{stage}_exec": [custom[f"{stage}_exec"], *custom[f"{stage}_args"]]
            for stage in ("config", "prepare", "run", "cleanup")}
    result = fresh.run(Job(["echo by-setup"]), **argv)
    assert result.state == "success" and "by-setup" in result.log, result.log

    # Again, there is nothing to do, nor to say or to ask.
    text = toml.read_text()
    done = fresh.call(*arguments(tmp_path))
    assert done.returncode == 0 and done.stdout.count("is there") == 2 and toml.read_text() == text, str(done)
    done = fresh.call(*arguments(tmp_path, "--url", "https://new.example.com"))
    assert done.returncode == 0 and "was changed" in done.stdout, str(done)
    assert toml.read_text() == text.replace('"https://gitlab.example.com/"', '"https://new.example.com"')

    # It says what else there is to do. Images without a definition are not kept up to date.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gitlab-runner").symlink_to("/bin/true")
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = fresh.call(*arguments(tmp_path), env=environ)
    assert f"gitlab-runner verify -c {toml}\n" in done.stdout and "until it has a definition" not in done.stdout, str(done)
    (fresh.definitions / "first.yaml").unlink()
    done = fresh.call(*arguments(tmp_path), env=environ)
    assert "image 'first' as it is until it has a definition" in done.stdout, str(done)

    # What is broken stays so.
    toml.write_text(broken := text + "[[runners\n")
    done = fresh.call(*arguments(tmp_path, *token))
    assert done.returncode == 1 and f"{toml}:{broken.count(chr(10))}:" in done.stderr, str(done)
    assert toml.read_text() == broken and TOKEN not in str(done)


def test_token_from_the_terminal(fresh: Site, tmp_path: Path) -> None:
    """Not shown, and nothing is changed when somebody thinks better of it."""
    toml = tmp_path / "gitlab-runner/config.toml"
    argv = fresh.argv(*arguments(tmp_path, "--url", "https://gitlab.example.com/"))
    with Terminal(argv) as terminal:
        terminal.expect("Token (it is not shown): ")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert not toml.exists() and not fresh.root.exists()
    with Terminal(argv) as terminal:
        terminal.expect("Token (it is not shown): ")
        terminal.type(f"{OTHER_TOKEN}\n")
        assert terminal.wait() == 0, terminal.seen
        assert OTHER_TOKEN.encode() not in terminal.seen and b"was added" in terminal.seen
    assert toml.stat().st_mode & 0o7777 == 0o600
    config = tomllib.loads(toml.read_text())
    assert config["runners"][0]["token"] == OTHER_TOKEN and config["concurrent"] == 1


def test_host_that_cannot_run_jobs(fresh: Site, tmp_path: Path) -> None:
    """It says what is missing, and changes nothing."""
    (tmp_path / "bin").mkdir()
    done = fresh.call(*arguments(tmp_path, "--url", "https://gitlab.example.com/", "--token-file",
                                 str(tmp_path / "token")), env={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 1 and "missing  systemd-nspawn" in done.stdout, str(done)
    assert "ok " not in done.stdout and not fresh.root.exists()
    assert not list((tmp_path / "gitlab-runner").iterdir())


def test_image_of_the_default_registry(fresh: Site, tmp_path: Path) -> None:
    """What jobs fetch is not made here under the same name; a suite, and what has a definition, is made."""
    fresh.settings["default_registry"] = "docker.io"
    fresh.write_config()
    toml = tmp_path / "gitlab-runner/config.toml"
    more = ("--toml", str(toml), "--url", "https://gitlab.example.com/")
    for image, fetched, *options in (("python:3.12", True), ("group/app", True), ("alpine", True), ("bookworm", False),
                                     ("first", False), ("alpine", False, "--suite", "bookworm"),
                                     ("python:3.12", True, "--suite", "bookworm")):
        done = fresh.call("setup", image, "--dry-run", *more, *options)
        said = f"The first job fetches image '{image}'\n" if fetched else f"Image '{image}' would be made\n"
        assert done.returncode == 0 and said in done.stdout and "Image 'helper' would be made" in done.stdout, str(done)
    fresh.settings["default_image"] = "python:3.12"
    fresh.write_config()
    done = fresh.call("setup", *more, "--token-file", str(tmp_path / "token"))
    assert done.returncode == 0 and "The first job fetches image 'python:3.12'" in done.stdout, str(done)
    assert "until it has a definition" not in done.stdout, str(done)
    assert [path.name for path in fresh.root.iterdir() if path.name[0] != "."] == ["helper"]
    assert tomllib.loads(toml.read_text())["runners"][0]["name"] == "nspawn-runner python:3.12"
