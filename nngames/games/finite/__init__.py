"""The parts of finite games: their numbers, Gambit's file format, and the decomposition of their costs."""
