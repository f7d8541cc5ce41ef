"""Kernels kept on disk are taken for those of the sources only if they are younger than all that is compiled in."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from nngames.networks.compiled import loading


def modules_read_by_kernels() -> set[str]:
    """Return the modules of the package that the kernels' modules import values from, but not types alone."""
    found = set()
    for source in Path(loading.__file__).parent.glob("fused_*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nngames"):
                names = {alias.name for alias in node.names}
                found |= {str(node.module)} if names - {"Array"} else set()
    return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources' places, all of one age, with an index that is younger."""
    for module in modules_read_by_kernels() | {"nngames.networks.compiled.loading"}:
        place = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        os.utime(place, (1000, 1000))
    here = tmp_path / "nngames" / "networks" / "compiled"
    cache = here / "__pycache__"
    cache.mkdir()
    index = cache / "fused_kernels.evaluate-1.py311.nbi"
    index.touch()
    os.utime(index, (2000, 2000))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(loading, "__file__", str(here / "loading.py"))
    return tmp_path


@pytest.mark.parametrize("module", sorted(modules_read_by_kernels()))
def test_a_change_of_what_is_compiled_in_makes_kernels_stale(kept: Path, module: str) -> None:
    assert loading._on_disk()
    loading._drop_stale()
    assert loading._on_disk()
    os.utime(kept.joinpath(*module.split(".")).with_suffix(".py"), (3000, 3000))
    assert not loading._on_disk()
    loading._drop_stale()
    assert not list(kept.glob("**/*.nbi"))


def test_the_kernels_read_constants_of_other_modules() -> None:
    others = {name for name in modules_read_by_kernels() if not name.split(".")[-1].startswith("fused_")}
    assert others == {"nngames.networks.compiled.maps", "nngames.networks.forms"}


@pytest.mark.parametrize(("there", "wanted"), [(True, True), (False, False)])
def test_the_disk_is_looked_at_when_runs_have_taken_as_long_as_loading(
    monkeypatch: pytest.MonkeyPatch, there: bool, wanted: bool
) -> None:
    looks = []
    monkeypatch.setattr(loading, "_on_disk", lambda: bool(looks.append(None)) or there)
    process = loading._Process()
    process.installed = True
    assert not process.wanted()
    process.spent = 0.99 * loading.LOADING
    assert not process.wanted()
    assert not looks
    process.spent = loading.LOADING
    assert process.wanted() == wanted
    process.spent = loading.COMPILING
    assert process.wanted()
    assert len(looks) == 1
