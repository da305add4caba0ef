# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the C++ library under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of their own.

    python3 -m hil.sanitize            build/sanitize; ninja builds what has changed

All of hil/lib (streams, frames, console, agent, traps, cell configs), the records and the ring of bench/core, and
gaol's core on its fake machine. A finding fails the test it is in.
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from collections.abc import Sequence

from hil import places

SANITIZERS = "address,undefined"
LATE_LISTING = "CMAKE_GTEST_DISCOVER_TESTS_DISCOVERY_MODE=PRE_TEST"
SHARED = ("agent", "answer_stream", "console", "frame", "job", "lifecycle", "line_quality", "packing", "stream", "trap")
TESTS = (
    *(f"hil/lib/{area}_test" for area in SHARED),
    *(f"hil/lib/cell_{area}_test" for area in ("boards", "check", "config", "yaml")),
    *(f"bench/host/bench_{area}_test" for area in ("latency", "record", "ring", "statistics")),
    "hypervisor/host/gaol_test",
)
"""Programs, by their paths in the build directory, where they are ninja's targets as well."""
PARTS = {"hil/lib/agent_test": 6}
"""Programs whose tests wait more than they work: in so many parts, as many at once as there are CPUs."""


def run(step: Sequence[str], part: int = 0, parts: int = 1) -> int:
    """The exit code of a command; what it says is shown when it is done. One part of a program's tests, or all."""
    environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}
    environment |= {"GTEST_SHARD_INDEX": str(part), "GTEST_TOTAL_SHARDS": str(parts)}
    done = subprocess.run(step, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        text += f"hil.sanitize: `{' '.join(step)}` ended with code {done.returncode}\n"
    print(text, end="", flush=True)
    return done.returncode


def main() -> int:
    """Configures, builds, runs the programs, as many at once as there are CPUs; the first exit code that is not 0."""
    build = places.build() / "sanitize"
    flags = "-O0 -g1 -fno-sanitize-recover=all"  # to compile takes longer than to run
    configure = ["cmake", "-S", str(places.root()), "-B", str(build), "-G", "Ninja", f"-DHIL_SANITIZE={SANITIZERS}"]
    steps = [
        # Tests are not listed at build time: on a busy host that passes CMake's limit of five seconds.
        [*configure, "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_CXX_FLAGS={flags}", f"-D{LATE_LISTING}"],
        ["ninja", "-C", str(build), "-k", "0", "-j", str(os.cpu_count() or 2), *TESTS],
    ]
    for step in steps:
        if (code := run(step)) != 0:
            return code
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        running = [
            pool.submit(run, [str(build / test), "--gtest_brief=1"], part, PARTS.get(test, 1))
            for test in TESTS
            for part in range(PARTS.get(test, 1))
        ]
        return next((code for code in (one.result() for one in running) if code != 0), 0)


if __name__ == "__main__":
    sys.exit(main())
