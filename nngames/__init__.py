"""Networks as explicit non-zero-sum games: built, solved, and decided with certificates."""

__version__ = "0.1.0"
