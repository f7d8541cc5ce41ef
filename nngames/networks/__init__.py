"""Networks: layers on a directed graph, their couplings, passes and feeds."""

from nngames.networks.couplings import BilinearCoupling, Coupling, LinearCoupling
from nngames.networks.feeds import feed
from nngames.networks.network import Network
from nngames.networks.perturbation import Perturbation
from nngames.networks.relaxation import Constant, Diminishing, Given, Relaxation, as_relaxation

__all__ = [
    "BilinearCoupling",
    "Constant",
    "Coupling",
    "Diminishing",
    "Given",
    "LinearCoupling",
    "Network",
    "Perturbation",
    "Relaxation",
    "as_relaxation",
    "feed",
]
