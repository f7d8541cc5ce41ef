"""Games: the protocol, network and quadratic games, their costs, responses, regrets and problem views."""

from nngames.games.coupled_game import CoupledGame
from nngames.games.finite_game import FiniteGame
from nngames.games.game import Game, required_game
from nngames.games.network_game import NetworkGame, ProximalGame
from nngames.games.own_cost import OwnCost
from nngames.games.quadratic_game import QuadraticGame
from nngames.games.tracking_game import TrackingGame
from nngames.games.views.fixed_points import BatchView, FixedPoint, ProfileMap
from nngames.games.views.inclusions import Inclusion
from nngames.games.views.objectives import Alternation, Descent, Minimisation

__all__ = [
    "Alternation",
    "BatchView",
    "CoupledGame",
    "Descent",
    "FiniteGame",
    "FixedPoint",
    "Game",
    "Inclusion",
    "Minimisation",
    "NetworkGame",
    "OwnCost",
    "ProfileMap",
    "ProximalGame",
    "QuadraticGame",
    "TrackingGame",
    "required_game",
]
