"""`python -m tui` is the command `safelight`."""

from tui.cli import main

main()
