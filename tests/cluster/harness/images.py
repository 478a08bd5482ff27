"""The images that the nodes need, without a container registry: each is a tar file that containerd imports."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from . import places, versions
from .work import Work, whole_or_nothing

IMAGES = places.CACHE / "images"
STORAGE = places.CACHE / "buildah"
"""Buildah's own storage, apart from root's other images."""
KEPT_PROJECT_IMAGES = 6
MOST_LAYERS = 40
"""Buildah keeps every layer that it has ever made for the next build, and forgets none by itself."""
DEBIAN_PACKAGES = "python3,python3-venv,ca-certificates"
NOT_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
AUTHORITY_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def _buildah(work: Work, *words: str | Path, cwd: Path | None = None) -> None:
    # chroot: the isolation that works inside a container as well.
    env = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}
    place = ["--root", str(STORAGE), "--runroot", "/run/discord-gateway-test-buildah"]
    work.run(["buildah", *place, *words], cwd=cwd, env=env)


def _save(work: Work, image: str, tar: Path) -> None:
    _buildah(work, "push", "-q", image, f"docker-archive:{tar}:{image}")


def _layers() -> int:
    return len(list((STORAGE / "overlay-layers").glob("*.tar-split.gz")))


def _has(image: str) -> bool:
    place = ["--root", str(STORAGE), "--runroot", "/run/discord-gateway-test-buildah"]
    asked = ["buildah", *place, "inspect", "--type", "image", image]
    return (
        subprocess.run(
            asked, capture_output=True, check=False, env={**os.environ, "STORAGE_DRIVER": "overlay"}
        ).returncode
        == 0
    )


def pause_image(work: Work, pause: Path) -> Path:
    """Tar file of the image that holds a pod's namespaces open."""
    target = IMAGES / f"pause-{hashlib.sha256(pause.read_bytes()).hexdigest()[:12]}"
    if not target.exists():
        with work.step("making the pause image"), whole_or_nothing(target) as scratch:
            shutil.copy(pause, scratch / "pause")
            (scratch / "Dockerfile").write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
            _buildah(work, "bud", "-q", "-t", versions.PAUSE_IMAGE, str(scratch))
            _save(work, versions.PAUSE_IMAGE, scratch / "image.tar")
    return target / "image.tar"


def python_image(work: Work) -> Path:
    """Tar file of Debian with Python: for tests that need no more, and the base of the project's image."""
    recipe = f"{DEBIAN_PACKAGES} {NOT_UNPACKED} {versions.PYTHON_IMAGE}"
    target = IMAGES / f"python-{versions.DEBIAN_RELEASE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not target.exists():
        with work.step("making the Python base image"), whole_or_nothing(target) as scratch:
            base = scratch / "base.tar"
            without = [f"--dpkgopt=path-exclude={path}" for path in NOT_UNPACKED]
            packages = f"--include={DEBIAN_PACKAGES}"
            work.run(["mmdebstrap", "--variant=essential", packages, *without, versions.DEBIAN_RELEASE, base])
            # `python` as in the public python images.
            (scratch / "Dockerfile").write_text(
                'FROM scratch\nADD base.tar /\nRUN ln -s python3 /usr/bin/python\nCMD ["/usr/bin/python3"]\n'
            )
            _buildah(work, "bud", "-q", "--squash", "-t", versions.PYTHON_IMAGE, str(scratch))
            _save(work, versions.PYTHON_IMAGE, scratch / "image.tar")
            base.unlink()
    elif not _has(versions.PYTHON_IMAGE):
        _buildah(work, "pull", "-q", f"docker-archive:{target / 'image.tar'}")
    return target / "image.tar"


def project_image(work: Work, tag: str = versions.PROJECT_IMAGE) -> Path:
    """Tar file of the image that the project's Dockerfile makes; anew only if something that it copies has changed."""
    with work.alone(IMAGES / "project.lock", "builds the project's image"):
        return _project_image(work, tag)


def _project_image(work: Work, tag: str) -> Path:
    base = python_image(work)
    digest = hashlib.sha256(f"{base.parent.name} {tag}".encode())
    for file in dockerfile_inputs(places.ROOT):
        digest.update(f"{file.relative_to(places.ROOT)}\0".encode() + file.read_bytes())
    target = IMAGES / f"project-{digest.hexdigest()[:16]}"
    if not target.exists():
        with work.step("building the project's image"), whole_or_nothing(target) as scratch:
            arguments = ["--layers", "--build-arg", f"BASE_IMAGE={versions.PYTHON_IMAGE}", "--network", "host"]
            trust = _trust_private_authority(scratch)
            _buildah(work, "bud", "-q", *arguments, *trust, "-t", tag, str(places.ROOT))
            _save(work, tag, scratch / "image.tar")
        _forget_old_project_images(keep=target)
        if _layers() > MOST_LAYERS:
            _buildah(work, "rmi", "--all", "--force")
    target.touch()
    return target / "image.tar"


def dockerfile_inputs(root: Path) -> list[Path]:
    """The Dockerfile, and every file that a COPY in it takes from the checkout, in a fixed order."""
    inputs = [path for path in (root / "Dockerfile", root / ".dockerignore") if path.exists()]
    for line in (root / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] != ["COPY"] or any(word.startswith("--from=") for word in words):
            continue
        for source in (word for word in words[1:-1] if not word.startswith("--")):
            path = root / source
            inputs += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in inputs if path.is_file() and not _is_by_product(path)]


def _is_by_product(path: Path) -> bool:
    return "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts)


def _trust_private_authority(scratch: Path) -> list[str]:
    """Where packages come through a private authority, as the environment names one, the build trusts it too.

    By mounts that are there only while building: nothing of it gets into the image.
    """
    named = [value for name in AUTHORITY_VARIABLES if (value := os.environ.get(name)) and Path(value).is_file()]
    if not named:
        return []
    config = scratch / "pip.conf"
    config.write_text(f"[global]\ncert = {AUTHORITIES}\n")
    return ["-v", f"{named[0]}:{AUTHORITIES}:ro", "-v", f"{config}:/etc/pip.conf:ro"]


def _forget_old_project_images(keep: Path) -> None:
    others = sorted((path for path in IMAGES.glob("project-*/") if path != keep), key=lambda path: path.stat().st_mtime)
    for path in others[: -(KEPT_PROJECT_IMAGES - 1)]:
        shutil.rmtree(path, ignore_errors=True)
