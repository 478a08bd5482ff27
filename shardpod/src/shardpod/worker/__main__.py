"""`python -m shardpod.worker FD`: started by a pod's supervisor, with its half of a socket pair."""

from .process import main

if __name__ == "__main__":
    main()
