# SPDX-License-Identifier: Apache-2.0
"""Reports of a run, made from its manifest.json, events.jsonl and console.raw alone.

    write_all(run_dir)      result.json, junit.xml and report.html beside them
    prepare()               what takes time and does not depend on the run, so that write_all is quick later
"""

from reports.files import ReportError, write_all
from reports.html_page import template as prepare
from reports.run import Run, load

__all__ = ["ReportError", "Run", "load", "prepare", "write_all"]
