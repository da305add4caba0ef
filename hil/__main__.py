# SPDX-License-Identifier: Apache-2.0
"""`python3 -m hil`."""

import os
import signal

if __name__ == "__main__":
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:
        # Nothing is under way yet: Ctrl-C while this starts leaves nothing behind and needs no traceback.
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    from hil.cli import main

    signal.signal(signal.SIGINT, usual)
    main()
