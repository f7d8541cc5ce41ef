"""Periodic projections: rings of projections, their cycles, functionals for them, and what under-relaxation does."""
