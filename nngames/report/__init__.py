"""The report room: terminal tables, pictures and the diagnosis of a game; rich and matplotlib load on first use."""
