# SPDX-License-Identifier: Apache-2.0
"""`python3 -m hil`."""

from hil.cli import main

if __name__ == "__main__":
    main()
