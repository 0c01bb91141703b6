"""`python -m fer_utils` is the command `fer`."""

from .apps.cli import main

main()
