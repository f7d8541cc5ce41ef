"""Commitment: who moves when, costs in rationals, and the problems of leaders and followers."""
