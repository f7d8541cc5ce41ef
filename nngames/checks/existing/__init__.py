"""The machinery of existence proofs: the equation of the equilibria, and contraction tests on balls and boxes."""
