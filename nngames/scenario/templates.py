"""Templates: one commented scenario of each kind to start from; every one of them runs as it is."""

from __future__ import annotations

from nngames.core.errors import UnknownNameError

_HEAD = """\
# A scenario of nngames. Run it:      nngames run FILE
#                     check its keys:  nngames validate FILE
name: {name}
description: >
  {description}
source: written by hand      # where it comes from: a paper, a data set
"""

_RING = """
network:
  kind: ring                 # each layer listens to the one before it, the first to the last
  layers:
    - name: encoder          # optional; by default 1, 2, ...
      activation: tanh       # nngames list activations
      weight: [[0.5, 0.1], [0.0, 0.4]]        # rows: this layer's units; columns: the last layer's
      bias: [0.3, -0.2]      # optional; by default zero
    - name: decoder
      activation: {name: leaky_relu, slope: 0.2}
      weight: {random: gaussian, shape: [2, 2], norm: 0.8}   # or {file: weights.npz, key: W2}, {identity: 2},
      bias: {constant: 0.1, shape: 2}                        # {rotation: 30}: seeded, spectral norm 0.8
seed: 1
players: auto                # layers, or neurons: every unit a player
cost: auto                   # proximal, or tracking for activations that are not monotone

solve:
  methods:                   # nngames list methods
    - picard                 # the iterated feed
    - {method: km, relaxation: 0.5, label: averaged}
  start: zero                # or random, a vector, or {encoder: [1, 0], decoder: [0, 1]}
stopping: {tolerance: 1e-9, max_iterations: 10000}

checks:                      # nngames list checks
  - certify
  - potential
  - outcomes: {starts: 16}

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.picard.status
    is: converged
    origin: "Banach: the norms of the weights multiply to less than 0.55 * 0.8 < 1 and both activations are 1-Lipschitz"
"""

_CHAIN = """
network:
  kind: chain                # open: a fixed input is fed forward through the layers
  input: [1, 2]
  layers:
    - activation: relu       # nngames list activations
      weight: [[1, -1], [1, 1]]      # rows: this layer's units; columns: the units before
      bias: [0, -1]          # optional; by default zero
    - activation: identity
      weight: [[1, 2]]

solve:
  methods: [picard]          # nngames list methods
checks: [potential]          # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.picard.profile
    near: [0, 2, 4]
    tolerance: 1e-12
    origin: "by hand: relu(1 - 2) = 0, relu(1 + 2 - 1) = 2, and 0 + 2 * 2 = 4"
"""

_RECURRENT = """
network:
  kind: recurrent            # one layer that feeds itself: x = r(W x + b)
  layers:
    - activation: tanh       # nngames list activations
      weight: {rotation: 90, scale: 0.9}     # or rows of numbers, or {file: weights.npz, key: W}
      bias: [0.5, 0]

solve:
  methods: [picard, km]      # nngames list methods
checks: [certify]            # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.picard.status
    is: converged
    origin: "Banach: the weight has norm 0.9 and tanh is 1-Lipschitz"
"""

_GRAPH = """
network:
  kind: graph                # players on a directed graph
  players:
    left: {activation: relu, bias: 1}        # nngames list activations
    right: {activation: relu, bias: 1}
    both: {size: 2, activation: identity}    # an action of two numbers; its bias is zero
  edges:                     # 'to' listens to 'from'; rows: units of 'to', columns: units of 'from'
    - {from: right, to: left, weight: -0.5}
    - {from: left, to: right, weight: -0.5}
    - {from: left, to: both, weight: [[1], [0]]}
    - {from: right, to: both, weight: [[0], [1]]}

solve:
  methods: [picard, best_response]           # nngames list methods
checks: [certify, potential]                 # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.best_response.profile
    near: [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666]
    tolerance: 1e-8
    origin: "by hand: x = max(0, 1 - x/2) has the one solution 2/3"
"""

_ADJACENCY = """
network:
  kind: adjacency            # every node of a graph is a player with one number
  graph: {networkx: karate_club}     # or {edges: [[ann, bob], [bob, cem]]}, with weights {edges: [[ann, bob, 2]]}
  directed: false
  weighted: false            # true multiplies each coupling by its edge's weight
  coupling: -0.05            # a public good: what my neighbours give, I need not give
  bias: 1                    # a number for all, or one for each node
  activation: nonnegative    # nngames list activations

solve:
  methods: [best_response]   # nngames list methods
checks: [certify, potential]  # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.best_response.status
    is: converged
    origin: "Gershgorin: at most 17 neighbours, and 17 * 0.05 < 1, so the responses contract in the maximum norm"
"""

_QUADRATIC = """
game:                        # costs 1/2 z'Qz + z'(sum of R x) + z'q + penalty, without a network
  kind: quadratic
  players:                   # a Cournot duopoly: price 4 - (q1 + q2), unit cost 1
    firm 1: {quadratic: 2, linear: -3, penalty: nonnegative}
    firm 2: {quadratic: 2, linear: -3, penalty: nonnegative}
  coupling:                  # the term z'Rx in the cost of 'player', x the action of 'other'
    - {player: firm 1, other: firm 2, matrix: 1}
    - {player: firm 2, other: firm 1, matrix: 1}

solve:
  methods: [best_response, extragradient]    # nngames list methods
checks: [potential]                          # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.best_response.profile
    near: [1, 1]
    tolerance: 1e-8
    origin: "Cournot 1838: each firm sells a third of the demand at price equal to cost, (4 - 1)/3"
"""

_GENERATED = """
network:                     # a network of a family, drawn from the seed
  kind: generated
  generator: {name: monotone, size: 20, norm: 5}    # nngames list generators; nngames explain monotone
seed: 1

solve:
  methods: [extragradient, auto]             # nngames list methods
stopping: {tolerance: 1e-9, max_iterations: 10000}
checks: []                                   # nngames list checks

expect:                      # decides the exit code; every value says where it comes from
  - what: solve.extragradient.status
    is: converged
    origin: "Korpelevich 1976: Id - W is monotone by construction, and an equilibrium exists"
"""

_TRAINING = """
training:
  data:                      # samples, one a row
    inputs: [[0, 0], [1, 0], [0, 1], [1, 1], [2, 1], [1, 2]]     # or {file: people.csv, columns: [age, income]},
    targets: [[0], [0], [1], [1], [0], [1]]                      # {file: data.npz, key: inputs}, or dataset: digits
    standardize: {inputs: true, targets: false}    # or true, false: by mean and standard deviation
    test: {last: 1}          # rows kept back to test on; or {fraction: 0.2, seed: 3}
  layers:                    # more layers need data.hidden: found, and widths; or hidden targets, a list of arrays
    - activation: logistic   # nngames list activations
      ridge: 0.01            # optional; ridge |W|^2/2 is added to the loss

solve:
  methods:                   # nngames list methods
    - newton_descent
    - accelerated_gradient
stopping: {tolerance: 1e-9, max_iterations: 10000}

expect:                      # decides the exit code; every value says where it comes from
  - what: training.newton_descent.kind       # fit, solution, no minimiser or neither
    is: solution
    origin: "with a ridge the loss is strongly convex in the weights, and no finite weights give the labels 0 and 1"
"""

_BODIES = {
    "ring": ("my ring", "Two layers in a ring; the network's outcomes are the equilibria of its game.", _RING),
    "chain": ("my chain", "A feed-forward network with a fixed input.", _CHAIN),
    "recurrent": ("my recurrent layer", "A layer that feeds itself.", _RECURRENT),
    "graph": ("my graph", "Three players, two of them substitutes.", _GRAPH),
    "adjacency": ("my social network", "A public good on a social network.", _ADJACENCY),
    "generated": ("my generated network", "A recurrent layer whose weight is monotone and no contraction.", _GENERATED),
    "quadratic": ("my duopoly", "Two firms choose quantities.", _QUADRATIC),
    "training": ("my training", "A layer that is to tell two classes apart.", _TRAINING),
}

#: The kinds of templates, each with what it describes.
SUMMARIES = {kind: description for kind, (_, description, _) in _BODIES.items()}
KINDS = tuple(_BODIES)


def template(kind: str) -> str:
    """Return the commented scenario of a kind.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    if kind not in _BODIES:
        raise UnknownNameError("kind of scenario", kind, KINDS)
    name, description, body = _BODIES[kind]
    return _HEAD.format(name=name, description=description) + body
