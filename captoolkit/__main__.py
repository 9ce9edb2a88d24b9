"""`python -m captoolkit` is `captoolkit`."""

import sys

from captoolkit.cli import main

sys.exit(main())
