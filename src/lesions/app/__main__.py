"""`python -m lesions.app` is the command `lesions`."""

import sys

from lesions.app.command_line import main

if __name__ == "__main__":
    sys.exit(main())
