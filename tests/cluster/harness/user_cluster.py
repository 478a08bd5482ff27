"""A cluster of the user's, by KUBECONFIG: kind, k3d, a real one."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from . import binaries
from .kubectl import Client
from .work import SetUpError, Work

LOAD_COMMAND = "DGW_TEST_LOAD_IMAGE"


class UserCluster(Client):
    def __init__(self, kubeconfig: Path, work: Work) -> None:
        programs = {name: shutil.which(name) or binaries.provide(work, (part,))[name] for name, part in PARTS.items()}
        super().__init__(kubectl=programs["kubectl"], helm=programs["helm"], kubeconfig=kubeconfig)
        self.kubectl("get", "--raw", "/readyz", timeout_s=30)

    def load_image(self, tar: Path) -> None:
        """By the user's command, with the path of the tar file after it."""
        command = os.environ.get(LOAD_COMMAND)
        if not command:
            raise SetUpError(
                f"KUBECONFIG names a cluster of yours, and {LOAD_COMMAND} no command that gives it an image: set it to "
                "one that takes the path of a tar file, such as 'kind load image-archive' or 'k3d image import'"
            )
        words = [*shlex.split(command), str(tar)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetUpError(f"`{shlex.join(words)}` failed with status {done.returncode}:\n{done.stdout}{done.stderr}")


PARTS = {"kubectl": binaries.KUBECTL, "helm": binaries.HELM}
