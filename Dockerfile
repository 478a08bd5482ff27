# One image for every command of the project; the arguments name the one to run: `discord-gateway-operator`,
# `discord-gateway-shardpod`, `discord-gateway`, `discord-simulator`. There is no entry point that would stand between
# a command and its signals.
#
# The base is any image with Python 3.11 or newer (glibc) and its venv module: the public python:3.x-slim, or Debian with
# python3-venv. Both stages use the same one, because the environment in /opt points at its interpreter.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS libraries
# Two environments: tools that install, and what is installed. Only the second is copied, so that the image has neither
# pip nor a build backend in it.
RUN python3 -m venv /tools && python3 -m venv --without-pip /opt/discord-gateway
COPY requirements/image.txt requirements/image-build.txt /source/requirements/
# Binary packages alone: what would have to be compiled here fails by name instead of asking for a compiler.
RUN /tools/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r /source/requirements/image-build.txt \
 && /tools/bin/pip --python /opt/discord-gateway/bin/python install \
      --no-cache-dir --only-binary :all: --require-hashes -r /source/requirements/image.txt

FROM libraries AS project
COPY operator /source/operator
COPY shardpod /source/shardpod
COPY simulator /source/simulator
# Beside the libraries, not among them: a layer of its own, of some hundred files, is all that a change of ours makes new.
RUN cd /source && /tools/bin/pip wheel --no-deps --no-build-isolation --no-cache-dir --wheel-dir wheels \
      ./operator ./shardpod ./simulator \
 && /tools/bin/pip --python /opt/discord-gateway/bin/python install --no-cache-dir --no-index --no-deps \
      --target /opt/project wheels/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="discord-gateway" \
      org.opencontainers.image.description="Operator, shard pods, command line and simulator of Discord Gateway Operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=libraries /opt/discord-gateway /opt/discord-gateway
COPY --from=project /opt/project /opt/project
COPY LICENSE /opt/discord-gateway/LICENSE
# Kopf, for one, asks for the name of the user that it runs as.
RUN echo 'gateway:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd && echo 'gateway:x:65532:' >> /etc/group
# Byte code was written when installing; a read-only root file system takes none later. What the commands log is seen
# at once. USER and HOME are for a cluster that runs the image as a number of its own.
ENV PATH=/opt/project/bin:/opt/discord-gateway/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/project \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    USER=gateway \
    HOME=/tmp
# By number, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
WORKDIR /tmp
CMD ["discord-gateway", "--help"]
