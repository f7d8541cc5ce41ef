"""The command as typed: exit codes, what goes to stdout and stderr, and what is not loaded for the help."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interruptions import ENDLESS_SCENARIO

import nngames
from nngames.cli import main as cli
from nngames.scenario.templates import KINDS, template

ROOT = Path(nngames.__file__).parent.parent
HEAVY = ("cvxpy", "matplotlib", "numba", "networkx", "scipy.optimize")

RING = """\
name: r
network:
  kind: ring
  layers:
    - {activation: identity, weight: -2}
    - {activation: identity, weight: -2}
    - {activation: identity, weight: -2}
solve:
  methods: [picard, extragradient]
  start: [1, 1, 1]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def process(*arguments: str, encoding: str = "utf-8", **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    environment.pop("NNGAMES_DEBUG", None)
    return subprocess.run(
        [sys.executable, "-m", "nngames", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], []])
def test_the_help_loads_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from nngames.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout


def test_the_module_is_the_command():
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{nngames.__version__}\n", "")


def test_every_verb_is_in_the_help_with_a_whole_sentence(command):
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    for verb in ("run", "compare", "check", "certify", "diagnose", "explain", "list", "new", "validate", "schema"):
        assert f"\n  {verb} " in out
    assert "..." not in out.split("Commands:")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "nngames: No such command 'rnu'"),
        (["run"], "nngames: Missing argument 'FILE'"),
        (["run", "x.yaml", "--fast"], "nngames: No such option: --fast"),
        (["run", "x.yaml", "--tolerance", "small"], "nngames: Invalid value for '--tolerance': "),
        (["run", "x.yaml"], "x.yaml:1:1: there is no such file\n"),
        (["compare", "gallery:nothing"], "gallery:nothing:1:1: the gallery has no scenario 'nothing'; "),
        (["run", "r.yaml", "--method", "picrd"], "unknown method 'picrd'; did you mean 'picard'? valid: "),
        (
            ["run", "r.yaml", "--methods", "km,km"],
            "the label 'km' is taken by methods[0]; give it a label, or leave it",
        ),
        (["run", "r.yaml", "--methods", "km,"], "a name is missing in 'km,'; give one, or several with commas"),
        (["run", "r.yaml", "--tolerance", "2"], "tolerance must be less than 1; got 2.0\n"),
        (["run", "r.yaml", "--max-iterations", "0"], "max_iterations must be at least 1; got 0\n"),
        (["run", "r.yaml", "--seed", "-1"], "seed must be at least 0; got -1\n"),
        (["run", "r.yaml", "--plot", "no/p.png"], "--plot no/p.png: there is no folder 'no' to write into\n"),
        (["check", "r.yaml", "potentia"], "unknown check 'potentia'; did you mean 'potential'? valid: "),
        (["new", "rng"], "unknown kind of scenario 'rng'; did you mean 'ring'? valid: "),
        (["list", "method"], "unknown kind 'method'; did you mean 'methods'? valid: "),
        (["explain", "picrd"], "unknown name or scenario 'picrd'; did you mean 'picard'? valid: "),
    ],
)
def test_bad_input_is_a_plain_line_and_exit_code_2(command, folder, arguments, message):
    (folder / "r.yaml").write_text(RING)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert "Traceback" not in err
    assert list(folder.iterdir()) == [folder / "r.yaml"]


def test_all_errors_of_all_files_are_told(command, folder):
    (folder / "a.yaml").write_text("name: 3\nnetwork: {kind: rng}\n")
    (folder / "b.yaml").write_text(RING)
    code, out, err = command("validate", "a.yaml", "b.yaml", "c.yaml")
    assert code == 2
    assert out == "b.yaml: valid; ring network, 3 players, profiles of 3 numbers\n"
    assert err.splitlines() == [
        "a.yaml:1:7: name: must be text; got 3",
        "a.yaml:2:17: network.kind: unknown value 'rng'; did you mean 'ring'? "
        "valid: ring, chain, recurrent, graph, adjacency, generated",
        "c.yaml:1:1: there is no such file",
    ]


def test_what_nothing_reports_is_no_valid_expectation(command, folder):
    (folder / "a.yaml").write_text(RING + "expect:\n  - {what: solve.picrad.status, is: converged, origin: o}\n")
    (folder / "b.yaml").write_text(RING + "expect:\n  - {what: solve.picard.residuum, is: 0, origin: o}\n")
    code, out, err = command("validate", "a.yaml", "b.yaml")
    assert (code, out) == (2, "")
    nothing, misspelt = err.splitlines()
    assert "expect[0].what: nothing in this scenario reports 'solve.picrad.status'; did you mean" in nothing
    assert "expect[0].what: solve.picard has no 'residuum'; did you mean 'residual'? valid: method, status" in misspelt


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_scenario_that_validates(command, folder, kind):
    code, out, err = command("new", kind)
    assert (code, out, err) == (0, template(kind), "")
    (folder / "mine.yaml").write_text(out)
    assert command("validate", "mine.yaml")[0] == 0


def test_schema_prints_one_json_document(command):
    code, out, _ = command("schema")
    assert code == 0
    assert json.loads(out)["title"] == "An nngames scenario"


def test_list_names_everything_with_a_sentence(command):
    code, out, _ = command("list")
    assert code == 0
    for name in ("methods", "activations", "generators", "certificates", "checks", "gallery", "templates"):
        assert f"{name}\n  " in out
    methods = command("list", "methods")[1]
    assert methods.splitlines()[0] == "methods"
    assert all(len(line.split(maxsplit=1)) == 2 for line in methods.splitlines()[1:])


def test_explain_tells_games_and_pages(command, folder):
    (folder / "r.yaml").write_text(RING)
    assert command("explain", "r.yaml")[1] == nngames.load_scenario("r.yaml").game.explain() + "\n"
    assert command("explain", "r.yaml", "--latex")[1] == nngames.load_scenario("r.yaml").game.explain("latex") + "\n"
    page = command("explain", "km")[1]
    assert page.startswith("method km\n\n")
    assert page.endswith("\noptions: relaxation=0.5, map='auto', precision='double'\n")
    assert command("explain", "auto")[1].startswith("method auto\n\n")


def test_pages_and_lists_are_plain_text_with_whole_sentences(command):
    from nngames.cli.catalogue import first_sentence, names

    rows = command("list")[1]
    assert "the gate (Dauphin et al. 2017).\n" in rows
    assert "`" not in rows
    for name in names():
        page = command("explain", name)[1]
        assert "``" not in page
        assert "Normalization" not in page
    assert first_sentence("As x et al. say, y. And z.") == "As x et al. say, y."
    assert first_sentence("One line,\ntwo of them\n\nMore. Here.") == "One line, two of them"


def expecting(folder, *lines: str) -> None:
    (folder / "r.yaml").write_text(RING + "expect:\n" + "".join(f"  - {line}\n" for line in lines))


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["{what: solve.picard.status, is: diverged, origin: by hand}"], 0),
        (["{what: solve.picard.status, is: converged, origin: by hand}"], 1),
        (["{what: game.size, is: 3, origin: by hand}"], 1),
        (["{what: game.sise, is: 3, origin: by hand}"], 2),
    ],
)
def test_expectations_decide_the_exit_code(command, folder, lines, code):
    expecting(folder, *lines)
    assert command("run", "r.yaml")[0] == code


def test_json_is_one_document_on_stdout(command, folder):
    expecting(folder, "{what: solve.picard.status, is: diverged, origin: by hand}")
    code, out, err = command("run", "r.yaml", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["ok"] is True
    assert data["solve"]["picard"]["status"] == "diverged"
    assert data["expect"] == [
        {"what": "solve.picard.status", "is": "diverged", "found": "diverged", "met": True, "origin": "by hand"}
    ]
    assert err.splitlines() == ["nngames: solving by picard", "nngames: solving by extragradient"]


def test_flags_override_the_file(command, folder):
    expecting(folder, "{what: solve.picard.status, is: diverged, origin: by hand}")
    code, out, _ = command(
        "run", "r.yaml", "--json", "--method", "extragradient", "--max-iterations", "3", "--seed", "5"
    )
    data = json.loads(out)
    assert code == 1
    assert list(data["solve"]) == ["extragradient"]
    assert data["solve"]["extragradient"]["iterations"] == 3
    assert data["scenario"]["seed"] == 5
    assert data["expect"][0]["met"] is None
    looser = json.loads(command("compare", "r.yaml", "--json", "--tolerance", "1e-2")[1])
    tighter = json.loads(command("compare", "r.yaml", "--json", "--tolerance", "1e-8")[1])
    assert looser["solve"]["extragradient"]["iterations"] < tighter["solve"]["extragradient"]["iterations"]


def test_compare_check_and_certify_do_their_part_only(command, folder):
    (folder / "r.yaml").write_text(RING + "checks: [certify, potential]\n")
    compared = json.loads(command("compare", "r.yaml", "--json")[1])
    assert set(compared) == {"scenario", "game", "solve", "document", "expect", "ok"}
    every = json.loads(command("compare", "r.yaml", "--json", "--methods", "km,picard", "--method", "auto")[1])
    assert list(every["solve"]) == ["km", "picard", "auto"]
    checked = json.loads(command("check", "r.yaml", "--json")[1])
    assert set(checked) == {"scenario", "game", "solve", "potential", "expect", "ok"}
    assert checked["potential"]["exact"]["status"] == "REFUTED"
    assert checked["solve"] == {}
    certified = json.loads(command("certify", "r.yaml", "--json")[1])
    assert certified["certify"]["monotone"]["status"] == "PROVED"


def test_text_output_has_no_colours_off_a_terminal(folder):
    (folder / "mine.yaml").write_text(template("chain"))
    done = process("run", "mine.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_names_that_the_encoding_cannot_show_are_escaped(folder):
    (folder / "mine.yaml").write_text(template("chain").replace("my chain", "caténaire"), encoding="utf-8")
    done = process("run", "mine.yaml", encoding="ascii", cwd=folder)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "cat\\xe9naire")


def test_a_picture_is_drawn_where_asked(command, folder):
    (folder / "mine.yaml").write_text(template("ring"))
    assert command("run", "mine.yaml", "--plot", "p.svg")[0] == 0
    assert (folder / "p.svg").read_text().startswith("<?xml")
    code, out, err = command("run", "mine.yaml", "--plot", "p.gif")
    assert (code, out) == (2, "")
    assert ".gif" in err


def test_an_internal_error_asks_for_a_report(command, monkeypatch):
    monkeypatch.delenv("NNGAMES_DEBUG", raising=False)
    monkeypatch.setattr(cli, "app", lambda **options: 1 / 0)
    code, out, err = command("list")
    assert (code, out) == (3, "")
    assert err.startswith("nngames: internal error: ZeroDivisionError: division by zero\n")
    assert "Please report it" in err
    monkeypatch.setenv("NNGAMES_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.run(["list"])


def test_ctrl_c_prints_what_was_reached_and_exits_130(folder):
    (folder / "slow.yaml").write_text(ENDLESS_SCENARIO + "output: {save: report.json}\n")
    running = subprocess.Popen(
        [sys.executable, "-m", "nngames", "run", "slow.yaml", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in running.stderr:
        if "solving by endless" in line:
            break
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    data = json.loads(out)
    assert (running.returncode, err) == (130, "interrupted\n")
    assert data["solve"]["first"]["status"] == "converged"
    assert data["solve"]["endless"]["status"] == "interrupted"
    assert list(folder.iterdir()) == [folder / "slow.yaml"]


@pytest.mark.parametrize("arguments", ["schema", "run gallery:clearing", "run gallery:clearing --json"])
def test_a_closed_pipe_is_no_failed_expectation(arguments):
    command = f"{sys.executable} -m nngames {arguments} 2>/dev/null | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 141


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["list"], "gallery"),
        (["list", "methods"], "methods"),
        (["explain", "km"], "text"),
        (["explain", "gallery:clearing"], "text"),
        (["validate", "gallery:clearing", "gallery:cournot"], "valid"),
    ],
)
def test_the_looking_verbs_print_one_document(command, arguments, key):
    code, out, _ = command(*arguments, "--json")
    assert code == 0
    assert json.loads(out)[key]


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m nngames schema | head -1",
        shell=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{\n", "")
