"""``python -m daycast``."""

from daycast.cli import main

main()
