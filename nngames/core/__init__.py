"""What every room uses: verdicts, errors, registries, linear operators and safe bounds, seeds, files."""
