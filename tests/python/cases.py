"""A list of named cases, run one after another; each prints one line that run.py counts."""

import asyncio
import argparse
import inspect
import sys
import traceback

CASE_LIMIT = 60.0

_cases = []


def case(name):
    """Registers an async function, which gets the server's address, as a case."""

    def register(function):
        _cases.append((name, function))
        return function

    return register


def server_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="https://HOST:PORT of the server")
    parser.add_argument("certificate_sha256", help="hash of the certificate it must show")
    parser.add_argument("--match", default="", help="run only the cases whose name contains this")
    return parser.parse_args()


async def _run_one(function, arguments):
    values = (arguments.url, arguments.certificate_sha256)
    wanted = len(inspect.signature(function).parameters)
    async with asyncio.timeout(CASE_LIMIT):
        await function(*values[:wanted])


def run_cases(arguments):
    """Runs all cases and returns the number that failed."""
    failed = 0
    for name, function in _cases:
        if arguments.match not in name:
            continue
        try:
            asyncio.run(_run_one(function, arguments))
            print(f"ok - {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"#   {line}", flush=True)
    return failed


def main():
    sys.exit(1 if run_cases(server_arguments()) else 0)


def equal(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
