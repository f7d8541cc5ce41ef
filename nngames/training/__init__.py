"""Training and design: the layer games of networks that are to fit data, or to have a given equilibrium."""

from nngames.training.backpropagation import BackpropagationResult, train_by_backpropagation
from nngames.training.layer_features import Convolution
from nngames.training.layer_game import LayerGame
from nngames.training.layer_problem import LayerProblem
from nngames.training.lifted import LiftedTraining
from nngames.training.problem import TrainingProblem
from nngames.training.trained import TrainedNetwork

__all__ = [
    "BackpropagationResult",
    "Convolution",
    "LayerGame",
    "LayerProblem",
    "LiftedTraining",
    "TrainedNetwork",
    "TrainingProblem",
    "train_by_backpropagation",
]
