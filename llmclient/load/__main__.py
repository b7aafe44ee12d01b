"""`python -m llmclient.load`: see the package."""

import sys

from llmclient.load._command import main

if __name__ == "__main__":
    sys.exit(main())
