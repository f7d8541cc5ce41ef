"""Arithmetic that several families share: rounding bounds, blocks, compensated exponentials, quadratures, balls."""
