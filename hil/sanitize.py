# SPDX-License-Identifier: Apache-2.0
"""Runs tests of the C++ library under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of their own.

    python3 -m hil.sanitize            build/sanitize; about three minutes of CPU when nothing is built yet

Only what reads bytes from outside is in it: streams, frames, lines, console, agent. A finding fails the test it is in.
"""

from __future__ import annotations

import os
import subprocess
import sys

from hil import places

SANITIZERS = "address,undefined"
TESTS = ("frame_test", "lifecycle_test", "stream_test", "console_test", "agent_test")


def main() -> int:
    """Configures, builds, runs; the first exit code that is not 0."""
    build = places.build() / "sanitize"
    flags = "-O1 -g1 -fno-sanitize-recover=all"
    configure = ["cmake", "-S", str(places.root()), "-B", str(build), "-G", "Ninja", f"-DHIL_SANITIZE={SANITIZERS}"]
    steps = [
        [*configure, "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_CXX_FLAGS={flags}"],
        ["ninja", "-C", str(build), *TESTS],
        *([str(build / "hil/lib" / test), "--gtest_brief=1"] for test in TESTS),
    ]
    for step in steps:
        code = subprocess.run(step, env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}, check=False).returncode
        if code != 0:
            print(f"hil.sanitize: `{' '.join(step)}` ended with code {code}", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
