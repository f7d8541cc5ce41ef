"""The command line: verbs that call the library and print what it returns; no logic lives here."""
