"""``python -m nngames`` is the ``nngames`` command."""

from nngames.cli.main import main

if __name__ == "__main__":
    main()
