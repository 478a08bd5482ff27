"""The entry point of `discord-gateway-operator`. It imports next to nothing, so that no signal is missed meanwhile."""

import signal


def main() -> None:
    """Run the command.

    In a container this process is number 1, to which the kernel gives no signal that it has no handler for. Blocked
    ones wait: a replica that is replaced in its first seconds would otherwise be waited for until it is killed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    from .command import main as run  # noqa: PLC0415 -- it takes a second or more

    run()
