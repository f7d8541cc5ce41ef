"""How equilibria are enumerated: exact cuts, cells of linear pieces, and faces of continua."""
