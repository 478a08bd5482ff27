"""`python -m discord_simulator` is the command `discord-simulator`."""

from discord_simulator.command import main

main()
