"""The verb claims as a user types it: the ledger, one claim in full, derived again, JSON, wrong names."""

from __future__ import annotations

import json

import pytest

from nngames.claims import source_claims
from nngames.cli.main import run
from nngames.core.verdicts import Decision


def test_the_ledger_lists_every_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in source_claims.registry.names())
    assert f"{len(source_claims.registry)} claims: " in out


def test_one_claim_is_derived_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "krasnoselskii_mann", "--run"]) == 0
    captured = capsys.readouterr()
    assert "8. krasnoselskii_mann (Weak convergence to the set of fixed points)" in captured.out
    assert "as on record" in captured.out
    assert "nngames: krasnoselskii_mann: " in captured.err


def test_a_verdict_that_is_not_on_record_is_exit_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_claims.registry["krasnoselskii_mann"], "verdict", Decision.REFUTED)
    assert run(["claims", "krasnoselskii_mann", "--run"]) == 1
    assert "not as on record: krasnoselskii_mann" in capsys.readouterr().out
    assert run(["claims", "krasnoselskii_mann", "--run", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["as_on_record"] is False
    assert report["claims"][0]["evidence"][0]["status"] == "PROVED"


def test_wrong_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "krasnoselski"]) == 2
    assert "did you mean 'krasnoselskii_mann'" in capsys.readouterr().err
