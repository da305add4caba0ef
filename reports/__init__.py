# SPDX-License-Identifier: Apache-2.0
"""Reports of a run, made from its manifest.json, events.jsonl and console.raw alone.

    write_all(run_dir)      result.json, junit.xml and report.html beside them
"""

from reports.files import ReportError, write_all
from reports.run import Run, load

__all__ = ["ReportError", "Run", "load", "write_all"]
