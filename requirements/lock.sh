#!/bin/sh
# Resolve run.in and dev.in for Python 3.11 to 3.14 into hash-pinned files that name no index address.
set -eu
python3 -m venv "${TMPDIR:-/tmp}/everytick-lock"
"${TMPDIR:-/tmp}/everytick-lock/bin/pip" -q install uv
for name in run dev bench; do
  "${TMPDIR:-/tmp}/everytick-lock/bin/uv" pip compile -q --universal --generate-hashes --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-emit-package everytick \
    --custom-compile-command "make lock" "requirements/$name.in" -o "requirements/$name.lock"
done
