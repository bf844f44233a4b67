"""Counts what holds and what does not, a line each."""

import sys


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, name, holds, detail=""):
        """One check; `detail` is shown beside it, whether it holds or not."""
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'PASS' if holds else 'FAIL'}  {name}{f' ({detail})' if detail else ''}", flush=True)

    def equal(self, name, found, expected):
        self.that(name, found == expected, "" if found == expected else f"found {found!r}, expected {expected!r}")

    def all(self, name, faults, detail=""):
        """One check over many cases: it holds where there is no fault."""
        self.that(name, not faults, detail if not faults else f"{len(faults)} faults")
        for fault in faults:
            print(f"      {fault if len(fault) < 1000 else fault[:1000] + ' …'}", flush=True)

    def close(self):
        """The closing line, and the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)
