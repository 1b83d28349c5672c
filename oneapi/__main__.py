"""`python -m oneapi`."""

import sys

from oneapi.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
