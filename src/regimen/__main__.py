"""`python -m regimen` is the command `regimen`."""

from regimen.cli.app import main

main()
