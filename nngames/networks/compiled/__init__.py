"""Compiled passes (extra ``fast``): the kernels, and the maps that call them."""
