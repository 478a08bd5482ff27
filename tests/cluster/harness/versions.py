"""What the cluster is made of, and in which version. The locks `go/*/go.mod` and `go.sum` pin the rest."""

KUBERNETES = "v1.36.1"
ETCD = "v3.6.5"
HELM = "v3.19.2"
COREDNS = "v1.12.4"
OLDEST_GO = (1, 26)
"""Kubernetes 1.36 does not compile with an older one."""

DEBIAN_RELEASE = "bookworm"
PYTHON_IMAGE = "localhost/python:3.11"
"""Debian's Python: what the project's Dockerfile stands on here, instead of the public python:3.x-slim."""
PAUSE_IMAGE = "localhost/pause:1"
PROJECT_IMAGE = "localhost/discord-gateway:test"
