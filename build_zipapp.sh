#!/usr/bin/env bash
# Build oneapi.pyz here: `./build_zipapp.sh && ./oneapi.pyz --port 3000`.
# Needs Python 3.11 or newer and a package index; keeps what it fetches in .build/.
set -eu
root=$(cd "$(dirname "$0")" && pwd)
. "$root/.ci/python.sh"
exec "$python" "$root/.ci/pack.py"
