"""Comparisons of scenarios in other processes and in a store: what a death loses, and what a second call repeats."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interruptions import interrupt_composite

import nngames as nng
from nngames.compare import workers as workers_module
from nngames.compare.cluster import perform
from nngames.core.errors import InputError, OptionError
from nngames.scenario import load_suite
from nngames.solvers import Interrupted

TEXT = """\
name: NAME
seed: 3
network:
  kind: ring
  layers:
    - {activation: tanh, weight: {random: gaussian, shape: [3, 3], norm: 0.5}, bias: [1, 0, 0]}
    - {activation: tanh, weight: {random: gaussian, shape: [3, 3], norm: 0.5}}
solve: {methods: [picard, km], start: random}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scenario(name: str = "one", **changes: str) -> Any:
    text = TEXT.replace("NAME", name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    Path(f"{name}.yaml").write_text(text)
    return nng.load_scenario(f"{name}.yaml")


def compared(given: Any, **options: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return nng.compare(given, progress=lines.append, **options), lines


def figures(comparison: Any) -> list[Any]:
    return [row.to_dict(full=False) for row in comparison.rows]


def what(comparison: Any) -> list[Any]:
    """Return everything but the times and the processes."""
    rows = figures(comparison)
    for row in rows:
        del row["seconds"], row["call"]
    return rows


# The store


def test_a_second_call_repeats_no_run() -> None:
    first, lines = compared(scenario(), repeat=3, store="runs")
    assert lines == [f"one: {label} ({k} of 3)" for k in (1, 2, 3) for label in ("picard", "km")]
    files = sorted(Path("runs").iterdir())
    assert len(files) == 6
    counts: list[tuple[int, int]] = []
    again, lines = compared(scenario(), repeat=3, store="runs", finished=lambda *now: counts.append(now))
    assert (lines, counts) == ([], [(6, 6)])
    assert figures(again) == figures(first)
    assert again.notes == ()
    for new, old in zip(again.rows, first.rows, strict=True):
        assert new.result.profile.tolist() == old.result.profile.tolist()
        assert new.result.trace.residual.tolist() == old.result.trace.residual.tolist()
        assert new.result.guarantee == old.result.guarantee or new.result.guarantee.rate is not None
        assert new.result.guarantee.statement == old.result.guarantee.statement
    assert sorted(Path("runs").iterdir()) == files


def test_a_disk_that_fills_up_is_told_with_the_store_and_loses_no_stored_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngames.compare import store

    def write(path: Any, content: Any) -> Path:
        if len(list(Path("runs").iterdir())) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_atomic(path, content)

    write_atomic = store.write_atomic
    monkeypatch.setattr(store, "write_atomic", write)
    with pytest.raises(InputError) as caught:
        compared(scenario(), repeat=3, store="runs")
    assert str(caught.value) == (
        "the store 'runs' cannot be written into: No space left on device; the runs in it are kept, and the same "
        "command goes on from there"
    )
    monkeypatch.setattr(store, "write_atomic", write_atomic)
    _, lines = compared(scenario(), repeat=3, store="runs")
    assert lines == [f"one: {label} ({k} of 3)" for k in (2, 3) for label in ("picard", "km")]


def test_what_is_in_the_store_serves_other_comparisons() -> None:
    compared(scenario(), repeat=2, store="runs")
    _, lines = compared(
        [scenario(), scenario("two", **{"norm: 0.5}, bias": "norm: 0.6}, bias"})], repeat=3, store="runs"
    )
    assert lines == [
        "one: picard (3 of 3)",
        "one: km (3 of 3)",
        *(f"two: {label} ({k} of 3)" for k in (1, 2, 3) for label in ("picard", "km")),
    ]


@pytest.mark.parametrize(
    ("changes", "options", "runs"),
    [
        ({"name: one": "name: one\ndescription: other words"}, {}, 0),
        ({"methods: [picard, km]": "methods: [km, {method: picard, label: plain}]"}, {}, 0),
        ({"seed: 3": "seed: 4"}, {}, 2),
        ({"[1, 0, 0]": "[1, 0, 1]"}, {}, 2),
        ({"start: random": "start: zero"}, {}, 2),
        ({}, {"tolerance": 1e-8}, 2),
        ({}, {"max_iterations": 9000}, 2),
        ({}, {"trace_nash_gap": True}, 2),
        ({}, {"start": [0.0] * 6}, 2),
        ({}, {"seeds": [3]}, 0),
        ({}, {"seeds": [3, 4]}, 2),
        ({"methods: [picard, km]": "methods: [picard, {method: km, relaxation: 0.4}]"}, {}, 1),
        ({"methods: [picard, km]": "methods: [picard, {method: km, relaxation: 0.5}]"}, {}, 0),
    ],
)
def test_a_run_is_known_by_what_it_depends_on(changes: dict[str, str], options: dict[str, Any], runs: int) -> None:
    compared(scenario(), store="runs")
    _, lines = compared(scenario(**changes), store="runs", **options)
    assert len(lines) == runs


def test_array_files_are_part_of_a_scenario() -> None:
    np.savetxt("bias.csv", np.array([[1.0, 0.0, 0.0]]), delimiter=",")
    changes = {"bias: [1, 0, 0]": "bias: {file: bias.csv}"}
    compared(scenario(**changes), store="runs")
    assert compared(scenario(**changes), store="runs")[1] == []
    np.savetxt("bias.csv", np.array([[2.0, 0.0, 0.0]]), delimiter=",")
    assert len(compared(scenario(**changes), store="runs")[1]) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("residual", "x"), ("evaluations", 1), ("profile", [1.0]), ("status", "fine"), ("trace", 3)]
)
def test_a_run_that_was_changed_by_hand_is_made_again(name: str, value: Any) -> None:
    first, _ = compared(scenario(), methods=["km"], store="runs")
    (path,) = Path("runs").iterdir()
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, indent=1))
    assert compared(scenario(), methods=["km"], store="runs")[1] == []
    content["run"][name] = value
    path.write_text(json.dumps(content))
    again, lines = compared(scenario(), methods=["km"], store="runs")
    note = f"{path} was changed after the run; it was left as it is, and its run is made again"
    assert (again.notes, lines) == ((note,), ["one: km"])
    assert what(again) == what(first)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not JSON"),
        ('{"format": 2, "key": {"sc', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "is not the run that its name says"),
        ('{"format": 2, "key": {}, "run": {}}', "is not the run that its name says"),
    ],
)
def test_files_that_are_no_runs_are_left_alone_and_noted(content: str, reason: str) -> None:
    compared(scenario(), methods=["km"], store="runs")
    (path,) = Path("runs").iterdir()
    good = path.read_text()
    path.write_text(content)
    comparison, lines = compared(scenario(), methods=["km"], store="runs")
    note = f"{path} {reason}; it was left as it is, and its run is made again"
    assert (comparison.notes, lines) == ((note,), ["one: km"])
    assert path.read_text() == content
    other = path.with_name(f"{path.stem}-1.json")
    assert json.loads(other.read_text())["key"] == json.loads(good)["key"]
    comparison, lines = compared(scenario(), methods=["km"], store="runs")
    assert (comparison.notes, lines) == ((), [])
    assert sorted(Path("runs").iterdir()) == sorted([path, other])


def test_files_of_others_are_not_looked_at() -> None:
    Path("runs").mkdir()
    Path("runs/mine.json").write_text("not JSON at all")
    comparison, _ = compared(scenario(), methods=["km"], store="runs")
    assert comparison.notes == ()
    assert Path("runs/mine.json").read_text() == "not JSON at all"


def test_a_store_that_cannot_be_is_refused_before_the_first_run() -> None:
    Path("file").write_text("")
    for store, message in (
        ("file", "the store 'file' is a file; give a folder"),
        ("no/runs", "the store 'no/runs': there is no folder 'no'"),
    ):
        with pytest.raises(InputError) as caught:
            nng.compare(scenario(), store=store)
        assert str(caught.value) == message


def test_methods_that_cannot_be_written_down_are_refused() -> None:
    method = nng.solver("km", relaxation=lambda k: 0.5)
    for options in ({"store": "runs"}, {"workers": 1}):
        with pytest.raises(OptionError) as caught:
            nng.compare(scenario(), [method], **options)
        assert str(caught.value) == (
            "the options of km cannot be written as plain data, which workers, a cluster and a store need; leave those "
            "out, or choose the method by name and plain options"
        )
    assert nng.compare(scenario(), [method]).rows[0].result.converged


def test_an_interrupted_run_is_not_stored_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_composite(monkeypatch, scenario().game, 20)
    with pytest.raises(Interrupted) as caught:
        nng.compare(scenario(), store="runs")
    assert [row.result.status for row in caught.value.comparison.rows] == ["converged", "interrupted"]
    assert len(list(Path("runs").iterdir())) == 1
    assert compared(scenario(), store="runs")[1] == ["one: km"]


def test_a_scenario_that_cannot_be_built_fails_and_the_others_go_on() -> None:
    wrong = scenario("wrong", **{"shape: [3, 3], norm: 0.5}}": "shape: [3, 4], norm: 0.5}}"})
    comparison, _ = compared([wrong, scenario()], methods=["km"])
    assert [row.result.status for row in comparison.rows] == ["failed", "converged"]
    assert comparison.rows[0].result.message.startswith("wrong.yaml:7:34: network.layers[1].weight: ")


def test_a_fault_in_one_method_fails_its_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNGAMES_DEBUG", raising=False)
    monkeypatch.setattr(type(nng.solver("km")), "step", lambda *_: 1 / 0)
    comparison, _ = compared(scenario())
    assert [row.result.status for row in comparison.rows] == ["converged", "failed"]
    assert comparison.rows[1].result.message == "internal error: ZeroDivisionError: division by zero"


# Workers


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The worker processes, in the order in which they are started."""
    started: list[Any] = []

    def popen(*arguments: Any, **options: Any) -> Any:
        started.append(subprocess.Popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(workers_module, "subprocess", SimpleNamespace(Popen=popen, PIPE=subprocess.PIPE))
    return started


def test_a_worker_makes_the_same_runs_and_a_killed_one_takes_one_with_it(processes: list[Any]) -> None:
    here, _ = compared(scenario(), repeat=2)

    def told(line: str) -> None:
        if line == "one: km (1 of 2)":
            os.kill(processes[0].pid, signal.SIGKILL)

    there = nng.compare(scenario(), repeat=2, workers=1, store="runs", progress=told)
    statuses = [(row.method, row.repeat, str(row.result.status)) for row in there.rows]
    assert statuses == [
        ("picard", 0, "converged"),
        ("picard", 1, "converged"),
        ("km", 0, "failed"),
        ("km", 1, "converged"),
    ]
    assert there.rows[2].result.message == "the worker died (SIGKILL); the same command makes this run again"
    assert [row.call for row in there.rows] == ["first", "first", "first", "first"]
    assert [what(there)[i] for i in (0, 1, 3)] == [what(here)[i] for i in (0, 1, 3)]
    assert there.rows[0].result.profile.tolist() == here.rows[0].result.profile.tolist()
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)
    # The run that was lost is the only one that is made again.
    again, lines = compared(scenario(), repeat=2, workers=1, store="runs")
    assert lines == ["one: km (1 of 2)"]
    assert what(again) == what(here)


def test_fresh_first_calls_have_processes_of_their_own_on_one_core(processes: list[Any]) -> None:
    pin = hasattr(os, "sched_setaffinity")
    comparison, _ = compared(scenario(), methods=["picard"], repeat=3, fresh=True, pin=pin)
    assert [row.call for row in comparison.rows] == ["fresh", "first", "warm"]
    assert len(processes) == 2
    group = comparison.summary().groups[0]
    assert group.first == comparison.rows[0].result.seconds
    assert group.seconds.median == comparison.rows[2].result.seconds


def test_workers_have_one_thread_and_the_kernels_that_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    from nngames.compare.pinning import one_thread_environment

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    environment = one_thread_environment()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert environment[name] == "1"
    assert environment["XLA_FLAGS"] == "--xla_other=1 --xla_cpu_multi_thread_eigen=false"
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"
    changed = {name for name, value in environment.items() if os.environ.get(name) != value}
    assert not any("CORETYPE" in name or "L2" in name for name in changed)


def test_more_pinned_workers_than_cores_are_refused() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot pin a process to a core")
    cores = len(os.sched_getaffinity(0))
    with pytest.raises(OptionError) as caught:
        nng.compare(scenario(), workers=cores + 1, pin=True)
    assert str(caught.value) == f"pin: {cores + 1} workers need {cores + 1} cores; this process may use {cores}"


# A cluster


class Future:
    def __init__(self, status: str, value: Any) -> None:
        self.status, self._value = status, value

    def result(self) -> Any:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value

    def cancel(self) -> None:
        self.status = "cancelled"

    def add_done_callback(self, call: Any) -> None:
        call(self)


class Client:
    """Stands for a cluster of two nodes; the second call of ``km`` finds that its node has died."""

    submitted: list[tuple[str, str]]
    status = "running"
    lost = "km"

    def __init__(self, address: str, **options: Any) -> None:
        if address != "tcp://here:8786":
            raise OSError(f"Timed out trying to connect to {address} after {options['timeout']:g} s")
        self.submitted = []
        Client.last = self

    def wait_for_workers(self, number: int, timeout: float) -> None:
        if os.environ.get("NO_NODES"):
            raise TimeoutError

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {"node-1": {}, "node-2": {}}}

    def submit(self, function: Any, payload: str, workers: list[str], **options: Any) -> Future:
        method = json.loads(payload)["method"]
        self.submitted.append((workers[0], method))
        if [name for _, name in self.submitted].count(method) == 2 and method == self.lost:
            return Future("error", RuntimeError("all its nodes died. More words"))
        return Future("finished", function(payload))

    def close(self) -> None:
        pass


def test_a_cluster_makes_the_same_runs_and_a_lost_one_is_kept_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=Client))
    pair = [scenario(), scenario("two", **{"norm: 0.5}, bias": "norm: 0.6}, bias"})]
    here, _ = compared(pair, repeat=2)
    there, _ = compared(pair, repeat=2, cluster="tcp://here:8786", store="runs")
    failed = [number for number, row in enumerate(there.rows) if row.result.status == "failed"]
    assert len(failed) == 1
    assert there.rows[failed[0]].result.message == (
        "the cluster lost the run (RuntimeError: all its nodes died); the same command makes this run again"
    )
    for number, (row, other) in enumerate(zip(what(there), what(here), strict=True)):
        assert number in failed or row == other
    # Each scenario's runs stay on one node.
    assert {node for node, _ in Client.last.submitted[::2]} | {node for node, _ in Client.last.submitted[1::2]} == {
        "node-1",
        "node-2",
    }
    _, lines = compared(pair, repeat=2, cluster="tcp://here:8786", store="runs")
    assert len(lines) == 1


class Lost(Future):
    """A call that nobody answers any more, nor can anybody cancel it."""

    def cancel(self) -> None:
        raise ConnectionError("Client is closed. Can't send cancel-keys message.")

    def add_done_callback(self, call: Any) -> None:
        pass


class Abandoned(Client):
    """Stands for a cluster that goes away after its third call: the scheduler too, or the nodes only."""

    goes = "scheduler"

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        gone = len(self.submitted) > 3
        return {"workers": {} if gone else super().scheduler_info(n_workers)["workers"]}

    def submit(self, function: Any, payload: str, workers: list[str], **options: Any) -> Future:
        if len(self.submitted) < 3:
            return super().submit(function, payload, workers, **options)
        self.submitted.append((workers[0], "lost"))
        self.status = "closed" if self.goes == "scheduler" else "running"
        return Lost("pending", None)


@pytest.mark.parametrize(
    ("goes", "reason"), [("scheduler", "its scheduler has gone"), ("nodes", "it has had no worker for 0 s")]
)
def test_a_cluster_that_goes_away_leaves_the_finished_runs_and_a_reason_for_the_others(
    goes: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nngames.compare import cluster

    monkeypatch.setattr(cluster, "DESERTED", 0)
    monkeypatch.setattr(Abandoned, "goes", goes)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=Abandoned))
    pair = [scenario(), scenario("two", **{"norm: 0.5}, bias": "norm: 0.6}, bias"})]
    there, _ = compared(pair, repeat=2, cluster="tcp://here:8786", store="runs")
    messages = [row.result.message for row in there.rows if row.result.status == "failed"]
    assert len(there.rows) - len(messages) == 3
    assert set(messages) == {f"the cluster lost the run ({reason}); the same command makes this run again"}
    again, lines = compared(pair, repeat=2, store="runs")
    assert len(lines) == len(messages)
    assert "failed" not in {row.result.status for row in again.rows}


class Reborn(Client):
    """Stands for a cluster of one node that dies in its third call, and so often that it has come again after it.

    The scheduler keeps such a call without a node, as Dask's does, unless it has ``moved`` it.
    """

    deaths = 1
    moved = False
    lost = ""

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        died = min(max(0, len(self.submitted) - 2), self.deaths)
        return {"workers": {f"node-{died}": {}}}

    def submit(self, function: Any, payload: str, workers: list[str], **options: Any) -> Future:
        if 2 <= len(self.submitted) < 2 + self.deaths:
            self.submitted.append((workers[0], json.loads(payload)["method"]))
            self.dead = Lost("pending", function(payload) if self.moved else None)
            self.dead.key = f"call-{len(self.submitted)}"
            self.dead.cancel = lambda: None
            self.dead.add_done_callback = lambda call: setattr(self, "tell", call)
            return self.dead
        return super().submit(function, payload, workers, **options)

    def processing(self) -> dict[str, tuple[str, ...]]:
        if not self.moved:
            return {"node-1": ()}
        if self.dead.status == "pending":
            # It is there, and ends soon.
            self.dead.status = "finished"
            self.tell(self.dead)
        return {"node-1": (self.dead.key,)}


@pytest.mark.parametrize(("deaths", "moved"), [(1, False), (2, False), (1, True), (3, False)])
def test_a_run_whose_node_died_without_another_one_is_given_to_the_next(
    deaths: int, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as a run is tried again; one that the scheduler has moved is not made twice."""
    from nngames.compare import cluster

    monkeypatch.setattr(cluster, "LOOK", 0.01)
    monkeypatch.setattr(Reborn, "deaths", deaths)
    monkeypatch.setattr(Reborn, "moved", moved)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=Reborn))
    here, _ = compared([scenario()], repeat=2)
    there, began = compared([scenario()], repeat=2, cluster="tcp://here:8786")
    runs = len(here.rows)
    assert len(there.rows) == len(began) == runs
    messages = [row.result.message for row in there.rows if row.result.status == "failed"]
    lost = deaths > cluster.RETRIES
    assert len(Client.last.submitted) == runs + (0 if moved else deaths - lost)
    assert (
        messages == ["the cluster lost the run (its node died 3 times); the same command makes this run again"] * lost
    )
    if not lost:
        assert what(there) == what(here)


class Unfetched(Future):
    """A call that has ended and whose record has gone with its node: it is waited for until the call is cancelled."""

    key = "call"

    def __init__(self) -> None:
        super().__init__("finished", None)
        self._cancelled = threading.Event()

    def result(self) -> Any:
        self.status = "pending"
        raise CancelledError if self._cancelled.wait(10) else RuntimeError("nobody gave it up")

    def cancel(self) -> None:
        self._cancelled.set()


@pytest.mark.parametrize(
    ("third", "message"),
    [
        (Unfetched(), None),
        (
            Future("finished", ConnectionError("the scheduler has closed it")),
            "the cluster lost the run (ConnectionError: the scheduler has closed it); "
            "the same command makes this run again",
        ),
    ],
    ids=["node", "scheduler"],
)
def test_a_run_whose_record_nobody_could_fetch_is_made_again_or_told(
    third: Future, message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nngames.compare import cluster

    class Dying(Reborn):
        def submit(self, function: Any, payload: str, workers: list[str], **options: Any) -> Future:
            if len(self.submitted) == 2:
                self.submitted.append((workers[0], json.loads(payload)["method"]))
                return third
            return Client.submit(self, function, payload, workers, **options)

    monkeypatch.setattr(cluster, "LOOK", 0.01)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=Dying))
    here, _ = compared([scenario()], repeat=2)
    there, began = compared([scenario()], repeat=2, cluster="tcp://here:8786")
    failed = [number for number, row in enumerate(there.rows) if row.result.status == "failed"]
    assert [there.rows[number].result.message for number in failed] == ([] if message is None else [message])
    for number, (row, other) in enumerate(zip(what(there), what(here), strict=True)):
        assert number in failed or row == other
    assert len(began) == len(here.rows)


def test_a_cluster_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=Client))
    with pytest.raises(InputError) as caught:
        nng.compare(scenario(), cluster="tcp://there:1")
    assert str(caught.value) == (
        "no Dask scheduler answers at 'tcp://there:1': Timed out trying to connect to tcp://there:1 after 10 s"
    )
    monkeypatch.setenv("NO_NODES", "1")
    with pytest.raises(InputError) as caught:
        nng.compare(scenario(), cluster="tcp://here:8786")
    assert str(caught.value) == "the Dask scheduler at 'tcp://here:8786' has no worker"


@pytest.mark.parametrize("address", ["", "here", "here:port", "tcp://:8786", "tcp://here:8786 ", 8786])
def test_what_is_no_address_is_refused_before_a_client_is_made(monkeypatch: pytest.MonkeyPatch, address: Any) -> None:
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=None))
    with pytest.raises(InputError) as caught:
        nng.compare(scenario(), cluster=address)
    assert str(caught.value) == (
        f"a cluster is the address of a Dask scheduler, as in tcp://HOST:8786; got {address!r}"
    )


def test_a_node_with_other_versions_does_not_make_the_run() -> None:
    from nngames.compare.cases import Target, cases_of
    from nngames.compare.tasks import Task

    (case,) = cases_of(scenario(), ["km"], Target(), None)
    payload = json.loads(Task(case, "km", 0).payload())
    assert json.loads(perform(json.dumps(payload)))["status"] == "converged"
    payload["versions"]["numpy"] = "0.1"
    record = json.loads(perform(json.dumps(payload)))
    assert record["status"] == "failed"
    assert f"has numpy {np.__version__}; needed: " in record["message"]


# Suites


def test_suites_are_files_folders_and_the_gallery() -> None:
    Path("suite/sub").mkdir(parents=True)
    for place, name in (("suite", "b"), ("suite", "a"), ("suite/sub", "c")):
        Path(f"{place}/{name}.yaml").write_text(TEXT.replace("NAME", name))
    Path("suite/notes.txt").write_text("no scenario")
    assert [s.name for s in load_suite(["suite"])] == ["a", "b"]
    assert [s.name for s in load_suite(["suite", "suite/a.yaml"], full=True)] == ["a", "b", "c"]
    economics = load_suite(["gallery:economics"])
    assert len(economics) > 5
    assert all(s.file.startswith("gallery:economics/") for s in economics)
    assert [s.file for s in load_suite(["gallery:clearing"])] == ["gallery:clearing"]
    with pytest.raises(OptionError, match=r"^full is about the sub-folders of a folder; got suite/a\.yaml$"):
        load_suite(["suite/a.yaml"], full=True)
    Path("empty").mkdir()
    with pytest.raises(InputError, match=r"^empty:1:1: the folder holds no \.yaml file$"):
        load_suite(["empty"])
    Path("suite/a.yaml").write_text("name: 3\n")
    Path("suite/b.yaml").write_text("nam: b\n")
    with pytest.raises(InputError) as caught:
        load_suite(["suite", "gallery:nothing"])
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "suite/a.yaml",
        "suite/b.yaml",
        "gallery",
    }


def test_scenarios_of_one_name_are_told_apart() -> None:
    pair = [scenario(), scenario()]
    assert [row.game for row in nng.compare(pair, ["km"]).rows] == ["one", "one (2)"]


def test_comparisons_can_be_pickled_wherever_their_runs_were_made() -> None:
    methods = ["picard", "complementarity"]
    for made in (
        nng.compare(scenario(), methods, store="runs"),
        nng.compare(scenario(), methods, store="runs"),
        nng.compare(scenario(), methods, workers=2),
        nng.compare(scenario().game, methods),
    ):
        copied = pickle.loads(pickle.dumps(made))
        assert copied.to_dict() == made.to_dict()
        best = made.rows[0].result.profile
        for row, again in zip(made.rows, copied.rows, strict=True):
            assert again.result.to_dict() == row.result.to_dict()
            np.testing.assert_array_equal(again.result.profile, row.result.profile)
            assert again.result.actions.keys() == row.result.actions.keys()
            curve, repeated = row.bound(best), again.bound(best)
            assert (curve is None) == (repeated is None) == (row.method != "picard")
            if curve is not None and repeated is not None:
                np.testing.assert_array_equal(repeated.values, curve.values)
