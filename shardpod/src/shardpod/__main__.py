"""The entry point of a shard pod. It imports next to nothing, so that no signal is missed while the rest is read."""

import signal
import sys


def main() -> None:
    """Run a pod; exit status 2 for a wrong environment or a port that is taken. With arguments: ask the one that runs.

    In a container this process is number 1, to which the kernel gives no signal that it has no handler for. Blocked
    ones wait: a pod that is told to end in its first seconds would otherwise stay until it is killed.
    """
    if len(sys.argv) > 1:
        from .pod.asking import main as ask  # noqa: PLC0415 -- a pod that starts does not need it

        sys.exit(ask(sys.argv[1:]))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    from .pod.command import main as run  # noqa: PLC0415 -- it takes a second or more

    run()


if __name__ == "__main__":
    main()
