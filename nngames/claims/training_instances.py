"""Instances in rationals that decide the source's claims about training: fits, solutions, and what they are not.

Everything here is computed with fractions from data written out below, by formulas of its own: a layer of one neuron
with parameters (w, b), v_t = w x_t + b, and F(w, b) = sum_t omega_t (r(v_t) - y_t) (x_t, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from nngames.core.verdicts import Decision, Verdict

Pair = tuple[Fraction, Fraction]
Response = Callable[[Fraction], Fraction]
EXACT = "exact rational arithmetic"
THIRD, HALF = Fraction(1, 3), Fraction(1, 2)


def operator(theta: Pair, x: Sequence[Fraction], y: Sequence[Fraction], r: Response) -> Pair:
    """Return F(theta) with omega_t = 1/T."""
    w, b = theta
    misses = [r(w * s + b) - t for s, t in zip(x, y, strict=True)]
    share = Fraction(1, len(x))
    return share * sum((m * s for m, s in zip(misses, x, strict=True)), Fraction(0)), share * sum(misses, Fraction(0))


def fits(theta: Pair, x: Sequence[Fraction], y: Sequence[Fraction], r: Response) -> bool:
    """Whether r(w x_t + b) = y_t for all t."""
    return all(r(theta[0] * s + theta[1]) == t for s, t in zip(x, y, strict=True))


def fractions(*numbers: int | Fraction) -> list[Fraction]:
    """Return the numbers as fractions."""
    return [Fraction(number) for number in numbers]


def fits_solve_the_inequality() -> Verdict:
    """Return the proof that parameters that fit solve the variational inequality, and why the converse holds.

    At a fit every r(A_t theta) - y_t is 0, and so is each term of the sum. Conversely let theta' fit and theta solve
    it. For a nondecreasing S-Lipschitz r, |r(a) - r(b)|^2 <= S <r(a) - r(b), a - b>, so sum_t omega_t |r(A_t theta) -
    y_t|^2 <= S sum_t omega_t <r(A_t theta) - y_t, A_t (theta - theta')> <= 0, the last by the inequality at theta'.
    The instance is a ReLU neuron: a fit, and solutions other than it that fit too.
    """
    x, r = fractions(-1, 0, 1, 2), lambda v: max(v, Fraction(0))
    teacher = (Fraction(2), Fraction(-1))
    y = [r(teacher[0] * s + teacher[1]) for s in x]
    zero = (Fraction(0), Fraction(0))
    other = (Fraction(1), Fraction(0))
    solves = operator(teacher, x, y, r) == zero and fits(teacher, x, y, r)
    # The inequality behind the converse, at parameters that do not fit.
    misses = [r(other[0] * s + other[1]) - t for s, t in zip(x, y, strict=True)]
    f = operator(other, x, y, r)
    reach = f[0] * (other[0] - teacher[0]) + f[1] * (other[1] - teacher[1])
    square = sum((m * m for m in misses), Fraction(0)) / len(x)
    holds = solves and 0 < square <= reach
    return Verdict(
        Decision.PROVED if holds else Decision.UNDECIDED,
        "parameters that fit make every term of the variational inequality 0; and where r is nondecreasing and "
        "Lipschitz and some parameters fit, only such parameters solve it",
        f"the terms, and cocoercivity of r; an instance in {EXACT}",
        float(reach - square),
        {"mean square of the errors": str(square), "<F(theta), theta - theta'>": str(reach)},
        ("combettes2022",),
    )


def a_solution_that_does_not_fit() -> Verdict:
    """Return the refutation that solutions fit wherever r is averaged with a constant below 1.

    r(v) = max(v, -v/2) has the slopes -1/2 and 1: it is 3/4-averaged. On x = -1, 0, 1 with y = 1/2, 0, 1 the parameters
    (1, 0) fit. (1/4, 1/2) makes the errors -1/4, 1/2, -1/4, orthogonal to x and to 1: it solves the inequality and does
    not fit.
    """
    x, y = fractions(-1, 0, 1), fractions(HALF, 0, 1)
    fit, solution = (Fraction(1), Fraction(0)), (HALF / 2, HALF)
    zero = (Fraction(0), Fraction(0))

    def r(v: Fraction) -> Fraction:
        return max(v, -v / 2)

    holds = fits(fit, x, y, r) and operator(solution, x, y, r) == zero and not fits(solution, x, y, r)
    return Verdict(
        Decision.REFUTED if holds else Decision.UNDECIDED,
        "where r is averaged and not monotone, solutions of the inequality need not fit although some parameters do: "
        "for the 3/4-averaged r(v) = max(v, -v/2) on x = (-1, 0, 1), y = (1/2, 0, 1), (w, b) = (1, 0) fits, and (1/4, "
        "1/2) solves the inequality and does not",
        EXACT,
        float(HALF),
        {"fit": ["1", "0"], "solution": ["1/4", "1/2"]},
    )


def fits_are_equilibria() -> Verdict:
    """Return the proof of the verification theorem, and the element of the preimages that it needs.

    A fit has A_t theta in r^-1(y_t) = y_t + df(y_t) for every t, so 0 = A_t'[u_t - A_t theta] with that element u_t,
    and the cost sum_t omega_t |u_t - A_t theta|^2 of the layer is 0, its least value.
    """
    x, r = fractions(-1, 1), lambda v: max(v, Fraction(0))
    theta = (Fraction(1), Fraction(0))
    y = [r(theta[0] * s + theta[1]) for s in x]
    v = [theta[0] * s + theta[1] for s in x]
    # r^-1(0) = (-inf, 0] holds -1 and r^-1(1) = {1}: with them the cost is 0.
    inside = v[0] <= 0 and y[0] == 0 and v[1] == y[1] == 1
    return Verdict(
        Decision.PROVED if inside else Decision.UNDECIDED,
        "parameters that fit have A_t theta among the elements of y_t + df(y_t), so with these elements every cost of "
        "the least-squares game is 0 and no layer can gain",
        f"membership of each pre-activation in its preimage; an instance in {EXACT}",
        references=("djehiche2023",),
    )


def another_element_makes_a_fit_no_equilibrium() -> Verdict:
    """Return the refutation that fits are equilibria of the game whichever element of y + df(y) its costs hold.

    ReLU on x = -1, 1 with y = 0, 1: (1, 0) fits. With 0 in r^-1(0) = (-inf, 0] as target in place of -1, the least
    squares through (-1, 0), (1, 1) are (1/2, 1/2).
    """
    x, u = fractions(-1, 1), fractions(0, 1)
    fit, best = (Fraction(1), Fraction(0)), (HALF, HALF)

    def cost(theta: Pair) -> Fraction:
        return sum(((t - theta[0] * s - theta[1]) ** 2 for s, t in zip(x, u, strict=True)), Fraction(0)) / 2

    gain = cost(fit) - cost(best)
    return Verdict(
        Decision.REFUTED if gain > 0 else Decision.UNDECIDED,
        "where r^-1(y) has several elements the game is ambiguous: for ReLU on x = (-1, 1), y = (0, 1), (w, b) = (1, "
        "0) fits, but with the element 0 of r^-1(0) it is no equilibrium: (1/2, 1/2) pays less",
        EXACT,
        float(gain),
        {"fit": ["1", "0"], "cost": str(cost(fit)), "better": ["1/2", "1/2"], "its cost": str(cost(best))},
    )


def least_squares_is_another_problem() -> Verdict:
    """Return the refutation that games (7) and (8) have the same equilibria where nothing fits.

    r(v) = v for v <= 0 and v/2 above, x = -1, 0, 1, y = 0, 0, 1 so that u = r^-1(y) = 0, 0, 2. Least squares in u give
    (w, b) = (1, 2/3) for (7); there r(v) - y = (-1/3, 1/3, -1/6) and F = (1/18, -1/18), not 0.
    """
    x, y, u = fractions(-1, 0, 1), fractions(0, 0, 1), fractions(0, 0, 2)

    def r(v: Fraction) -> Fraction:
        return v if v <= 0 else v / 2

    theta = (Fraction(1), 2 * THIRD)
    zero = (Fraction(0), Fraction(0))
    f = operator(theta, x, y, r)
    least = operator(theta, x, u, lambda v: v) == zero
    inverse = all(r(s) == t for s, t in zip(u, y, strict=True))
    return Verdict(
        Decision.REFUTED if least and inverse and f != zero else Decision.UNDECIDED,
        "where nothing fits, the least-squares game (7) and the layer game (8) have different equilibria: for r(v) = v "
        f"below 0 and v/2 above on x = (-1, 0, 1), y = (0, 0, 1), (1, 2/3) is that of (7), and F = ({f[0]}, {f[1]})",
        EXACT,
        float(max(abs(f[0]), abs(f[1]))),
        {"equilibrium of (7)": ["1", "2/3"], "F": [str(f[0]), str(f[1])]},
    )


def fits_of_the_network_need_not_fit_layer_by_layer() -> Verdict:
    """Return the refutation that all solutions of the training problem are equilibria of game (8).

    Two identity layers, one sample x = 1, y = 1: w_2 w_1 = 1 fits without biases. Game (8) needs a target for the
    hidden layer; with y_1 = 1 that of (1, 1), the fit w = (2, 1/2) has the hidden answer 2: F_1 = (1, 1).
    """
    one, identity = fractions(1), lambda v: v
    first, second = (Fraction(2), Fraction(0)), (HALF, Fraction(0))
    answer = second[0] * (first[0] * one[0])
    f = operator(first, one, one, identity)
    holds = answer == 1 and f == (Fraction(1), Fraction(1))
    return Verdict(
        Decision.REFUTED if holds else Decision.UNDECIDED,
        "the layer game needs targets for hidden layers, and with any given ones it misses fits: of two identity "
        "layers on x = y = 1 the weights (2, 1/2) fit, but with the hidden target 1 the first operator is (1, 1)",
        EXACT,
        1.0,
        {"weights": ["2", "1/2"], "F of the first layer": [str(f[0]), str(f[1])]},
    )


def equilibria_are_the_fits_of_every_layer() -> Verdict:
    """Return the proof of what holds: with targets for every layer that some parameters fit, the equilibria are fits.

    Game (8) separates, and each layer's loss is convex with gradient F_l; so its equilibria are the zeros of all F_l,
    the solutions of the inequality, and those are the fits of each layer if there is one.
    """
    proof = fits_solve_the_inequality()
    return Verdict(
        proof.status,
        "given targets of every layer that some parameters fit, and nondecreasing Lipschitz r_l, the equilibria of the "
        "layer game are exactly the parameters with which every layer fits its targets",
        "the game separates into convex problems with gradients F_l; " + proof.method,
        proof.margin,
        proof.witness,
        proof.references,
    )


def parameters_for_each_sample_do_not_agree() -> Verdict:
    """Return the refutation that the algorithm as printed converges to a minimiser of the layer problem.

    An identity neuron on x = 0, 1 with y = 0, 1, all parameters 0 at first. The step of sample t moves theta_t by
    multiples of (x_t, 1) only: theta_1 stays (0, 0), and theta_2 tends to the nearest fit of its sample, (1/2, 1/2).
    The problem's only minimiser is (1, 0).
    """
    x, y, identity = fractions(0, 1), fractions(0, 1), lambda v: v
    zero = (Fraction(0), Fraction(0))
    # The limit of theta_2: its sample is fitted, and the way there is a multiple of (x_2, 1).
    limits: list[Pair] = [zero, (HALF, HALF)]
    alone = all(operator(limit, [s], [t], identity) == zero for limit, s, t in zip(limits, x, y, strict=True))
    together = [operator(limit, x, y, identity) != zero for limit in limits]
    mean = ((limits[0][0] + limits[1][0]) / 2, (limits[0][1] + limits[1][1]) / 2)
    minimiser = (Fraction(1), Fraction(0))
    holds = alone and all(together) and operator(mean, x, y, identity) != zero
    holds = holds and operator(minimiser, x, y, identity) == zero
    return Verdict(
        Decision.REFUTED if holds else Decision.UNDECIDED,
        "with parameters for each sample the limits differ and none solves the layer problem: for r(v) = v on x = (0, "
        "1), y = (0, 1) from 0 they are (0, 0) and (1/2, 1/2), while its only minimiser is (1, 0)",
        EXACT,
        float(HALF),
        {"limits": [["0", "0"], ["1/2", "1/2"]], "minimiser": ["1", "0"]},
    )


def common_parameters_converge() -> Verdict:
    """Return the proof of the corrected algorithm, with its step and an instance in which a larger one diverges.

    F is the gradient of a convex loss and L-Lipschitz, L = S lambda_max(sum_t omega_t z_t z_t'), z_t = (x_t, 1), so by
    Baillon and Haddad it is 1/L-cocoercive, and theta - s F(theta) is averaged for 0 < s < 2/L: with a minimiser the
    iterates converge to one. One neuron on x = 0 has L = 1: with s = 5/2 the error is multiplied by -3/2.
    """
    x, y, identity = fractions(0), fractions(1), lambda v: v
    start = (Fraction(0), Fraction(0))
    step = Fraction(5, 2)
    f = operator(start, x, y, identity)
    following = (start[0] - step * f[0], start[1] - step * f[1])
    grows = abs(following[1] - 1) > abs(start[1] - 1)
    return Verdict(
        Decision.PROVED if grows else Decision.UNDECIDED,
        "with common parameters and an S-Lipschitz r that is the gradient of a convex function, "
        "theta - s sum_t omega_t A_t'(r(A_t theta) - y_t) converges to a minimiser, if there is one, for "
        "0 < s < 2/(S lambda_max(sum_t omega_t z_t z_t')); above that bound it may diverge",
        "Baillon and Haddad's theorem, averaged operators; the instance in " + EXACT,
        references=("bauschke2017", "combettes2022"),
    )
