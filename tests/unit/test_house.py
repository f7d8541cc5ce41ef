"""The house itself: what an import loads, that generated pages are in step, that the README's commands exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("cvxpy", "matplotlib", "numba", "networkx", "scipy.optimize")


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import nngames",
        "import nngames; nngames.solve(nngames.Network.ring([[[0.5]]], [[1.0]], ['tanh']).game(), 'picard')",
    ],
)
def test_import_and_a_solve_load_no_heavy_module(code: str) -> None:
    assert not loaded_after(code) & set(HEAVY)


def test_heavy_modules_are_seen_when_they_are_loaded() -> None:
    assert "networkx" in loaded_after("import nngames; nngames.Network.ring([1.0], [0.0], ['tanh']).digraph")


def test_every_public_name_exists() -> None:
    import nngames

    for name in nngames.__all__:
        assert getattr(nngames, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'sovle'"):
        _ = nngames.sovle


def built() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build


def test_generated_pages_are_in_step_with_the_code() -> None:
    build = built()
    assert (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8") == build.catalogue()
    assert (ROOT / "docs" / "activation-audit.md").read_text(encoding="utf-8") == build.activation_audit()
    assert (ROOT / "docs" / "claims.md").read_text(encoding="utf-8") == build.claims_ledger()


def test_the_runner_takes_its_commands_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- tests -->\s*```[a-z]*\n(.*?)```", readme, re.S)
    assert block is not None
    assert "pytest" in block.group(1)
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize(
    "page", sorted(p.name for p in (ROOT / "docs").glob("*.md") if "```python" in p.read_text("utf-8"))
)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.S):
        exec(compile(block, page, "exec"), names)


def test_the_quickstart_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- quickstart -->\s*```python\n(.*?)```", readme, re.S)
    assert block is not None
    exec(compile(block.group(1), "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "picard cycles with period 2; M is monotone (margin 1.00): try --method extragradient" in printed
    assert "PROVED: the inclusion's operator M is strongly monotone" in printed
    assert "converged [" in printed
    assert "4 moves" in printed
