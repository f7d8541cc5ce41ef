"""Results: what solvers, comparisons and feeds return."""
