"""What is decided about finite games: potentials, better-reply cycles, sinks."""
