# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/recipes.md: each section's blocks are run as they stand there, in one job, and print what they are said to."""

import re
import subprocess
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import pytest

import host
from lab import Lab, Site
from simulation.jobspec import Job

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Recipe(NamedTuple):
    """One section: more settings, the blocks of script one after the other, and all that they print."""
    title: str
    settings: str
    script: str
    output: str


def sections() -> dict[str, list[tuple[str, str]]]:
    """The blocks below each heading, as kind and text."""
    parts = re.split(r"^## (.*)\n", RECIPES.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {title: BLOCK.findall(text) for title, text in zip(parts[::2], parts[1::2])}


def definition() -> str:
    """The only block that is an image's definition."""
    (text,) = [text for blocks in sections().values() for kind, text in blocks
               if kind == "yaml" and text.startswith("- hosts:")]
    return text


def recipes() -> list[Recipe]:
    """Sections with a script."""
    found = []
    for title, blocks in sections().items():
        assert {kind for kind, _ in blocks} <= {"yaml", "sh", "text"}, title
        texts = {kind: "".join(text for other, text in blocks if other == kind) for kind in ("yaml", "sh", "text")}
        if texts["sh"]:
            found.append(Recipe(title, texts["yaml"], texts["sh"], texts["text"]))
    return found


@pytest.fixture(scope="module", name="root")
def fixture_root(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Path]:
    """An image root with the image of the recipes: a tree that was given, or made as its definition says."""
    root = lab.outside / "recipes-root"
    root.mkdir()
    given = request.config.getoption("--recipes-dir")
    if given:
        lab.link_tree(Path(given), root / "recipes")
    else:
        (root / "recipes.yaml").write_text(definition())
        subprocess.run([lab.driver, "--root", root, "chroot-create", "recipes"], check=True)
    yield root
    host.remove_tree(root)


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.title.replace(" ", "-"))
def test_recipe(make_site: Any, root: Path, recipe: Recipe) -> None:
    """It works, and prints what the page says."""
    site: Site = make_site(root=root, boot="auto")
    site.config.write_text(site.config.read_text() + recipe.settings)
    with site.started(Job(image="recipes")) as build:
        call = build.start_script(recipe.script)
        assert call.wait() and call.returncode == 0, call.output
        assert call.stdout.decode() == recipe.output, call.output


def test_debootstrap(make_site: Any, root: Path) -> None:
    """It stops at device nodes unless it believes to be in a container of LXC: there it gets as far as its mirror."""
    command = "set +o pipefail; debootstrap --variant=minbase bookworm tree file:///nowhere 2>&1 | tail -n 1"
    with make_site(root=root).started(Job(image="recipes")) as build:
        stopped = build.run_script(command).stdout.decode()
        went_on = build.run_script(f"export container=lxc; {command}").stdout.decode()
    assert "mounted with noexec or nodev" in stopped, stopped
    assert went_on.startswith("E: ") and "file:///nowhere" in went_on, went_on


def test_page() -> None:
    """Nothing on the page is left out by mistake."""
    assert len(recipes()) >= 4 and "nspawn_runner_packages" in definition()
    assert sum(len(blocks) for blocks in sections().values()) == RECIPES.read_text(encoding="utf-8").count("```") // 2
