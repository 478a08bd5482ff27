#!/bin/sh
# Makes .venv with everything that the Makefile's targets need, from the hash-locked requirements and nothing else.
# Needs Python 3.11 or newer with venv; as root on Debian it installs python3-venv where that is missing.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'bootstrap: %s\n' "$*" >&2; exit 2; }

command -v "$python" >/dev/null || fail "no $python found. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" -V 2>&1), Python 3.11 or newer is needed. Name another: make PYTHON=/path/to/python3"

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"
  say "installing python3-venv (Debian ships Python without it)"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
fi

if ! .venv/bin/uv --version >/dev/null 2>&1; then
  say "making .venv with $("$python" -V)"
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
fi
say "installing the locked requirements (the first time takes a minute)"
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt requirements/bootstrap.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
  -e operator -e shardpod -e simulator
touch .venv/ready
say "ready: .venv/bin/discord-gateway --help"
