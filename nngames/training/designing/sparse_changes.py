"""The least l1 change of the parameters under a certificate, as a convex program, cleaned of the solver's dust."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nngames.core.errors import InfeasibleError, NotApplicableError
from nngames.training.designing.certificate_sets import CertificateSet
from nngames.training.designing.equilibrium_set import EquilibriumSet, Parameters

#: Programs with more entries of weights are not set up.
LARGEST_PROGRAM = 10_000
# Smaller changes, relative to the largest, are what an interior point leaves at 0.
_DUST = 1e-6


def sparse_certified(equilibria: EquilibriumSet, allowed: CertificateSet, max_seconds: float | None) -> Parameters:
    """Return the parameters of both sets with the least l1 distance to the template.

    Raises
    ------
    NotApplicableError
        If the program is too large.
    InfeasibleError
        If the solver finds that no parameters are in both sets.
    """
    import cvxpy as cp
    from scipy import sparse

    entries, start = equilibria.entries, equilibria.start
    if len(entries.rows) > LARGEST_PROGRAM:
        raise NotApplicableError(
            f"objective='sparse' with a certificate sets up a program in {len(entries.rows)} entries; it is done up to "
            f"{LARGEST_PROGRAM}: use objective='least_norm'"
        )
    places = np.flatnonzero(equilibria.free)
    n = len(equilibria.profile)
    change = cp.Variable(len(places))
    spread = sparse.eye_array(len(entries.rows), format="csc")[:, places]
    heard = sparse.csr_array((equilibria.heard, (entries.rows, np.arange(len(entries.rows)))), (n, len(entries.rows)))
    meets = heard @ spread
    v: Any = equilibria.preactivation(start) + meets @ change
    objective = cp.norm1(change)
    moving = np.flatnonzero(equilibria.free_biases)
    shift = cp.Variable(len(moving)) if moving.size else None
    if shift is not None:
        v = v + sparse.eye_array(n, format="csc")[:, moving] @ shift
        objective = objective + cp.norm1(shift)
    constraints = allowed.constraints(start.weights + spread @ change)
    for player, where in equilibria.network.space.slices.items():
        constraints += equilibria.preimages[player].constraints(v[where])
    problem = cp.Problem(cp.Minimize(objective), constraints)
    limit = {} if max_seconds is None else {"time_limit": float(max_seconds)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that the answer may be inaccurate; it is verified
        try:
            problem.solve(solver=cp.CLARABEL, **limit)
            status = problem.status
        except cp.error.SolverError as error:
            status = str(error)
    if change.value is None or status not in ("optimal", "optimal_inaccurate"):
        raise InfeasibleError(
            f"no weights were found under which the profile is an equilibrium and the certificate holds: the convex "
            f"program ended with {status!r}"
        )
    weights, biases = np.zeros(len(entries.rows)), np.zeros(n)
    weights[places] = change.value
    if shift is not None:
        biases[moving] = shift.value
    dust = _DUST * max(float(np.abs(weights).max(initial=0.0)), float(np.abs(biases).max()))
    weights[np.abs(weights) <= dust] = 0.0
    biases[np.abs(biases) <= dust] = 0.0
    return start + Parameters(weights, biases)
