"""Training and design: the layer games of networks that are to fit data, or to have a given equilibrium."""

from nngames.training.layer_features import Convolution
from nngames.training.layer_game import LayerGame
from nngames.training.layer_problem import LayerProblem
from nngames.training.problem import TrainingProblem

__all__ = ["Convolution", "LayerGame", "LayerProblem", "TrainingProblem"]
