"""First thing that runs in oneapi.pyz: one sentence where this Python cannot run the rest.

Every Python there is must be able to read this file, so it keeps to the syntax of Python 2.7.
It replaces the `__main__.py` that shiv writes, which would unpack all before it fails.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(
        "oneapi.pyz needs Python 3.11 to 3.14; this is Python %d.%d (%s)"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

import start  # noqa: E402  # only a Python that can read it gets here

start.main()
