"""Solvers of other packages as methods: the same games, the same target, the same table, and no guarantee of ours."""
