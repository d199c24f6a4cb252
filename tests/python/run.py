#!/usr/bin/env python3
"""Starts `transom demo` and runs the cases of both Python clients against it, each with the Python that tests/setup made.

TRANSOM_BIN names the program, otherwise ../../target/release/transom. Options: --only aioquic|pywebtransport, --match TEXT.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = {
    "aioquic": (HERE.parent / ".venv/bin/python", HERE / "aioquic_client.py"),
    "pywebtransport": (HERE.parent / ".venv-pywebtransport/python", HERE / "pywebtransport_client.py"),
}
PROGRAM = os.environ.get("TRANSOM_BIN", HERE.parent.parent / "target/release/transom")
STOP_LIMIT = 60


@contextlib.contextmanager
def group(command, **options):
    """A process in a group of its own, which is ended with it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_client(name, server, match):
    python, script = CLIENTS[name]
    if not python.exists():
        print(f"not ok - {name}: tests/setup has not been run")
        return 0, 1
    command = [str(python), "-B", str(script), server["url"], server["certificate_sha256"], "--match", match]
    counts = {"ok": 0, "not ok": 0}
    with group(command, cwd=HERE) as process:
        for line in process.stdout:
            verdict, dash, rest = line.rstrip("\n").partition(" - ")
            if dash and verdict in counts:
                counts[verdict] += 1
                print(f"{verdict} - {name}: {rest}", flush=True)
            else:
                print(line, end="", flush=True)
        status = process.wait()
    if status != (1 if counts["not ok"] else 0):
        print(f"not ok - {name}: ended with status {status}")
        counts["not ok"] += 1
    return counts["ok"], counts["not ok"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=CLIENTS)
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))

    passed = failed = 0
    command = [str(PROGRAM), "demo", "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--web", "127.0.0.1:0", "--json"]
    if not os.access(PROGRAM, os.X_OK):
        print(f"not ok - there is no program {PROGRAM}; build it first\n0 passed, 1 failed")
        return 1
    with group(command) as demo:
        line = demo.stdout.readline()
        if not line:
            print("not ok - the server did not start\n0 passed, 1 failed")
            return 1
        server = json.loads(line)
        for name in [options.only] if options.only else CLIENTS:
            ok, not_ok = run_client(name, server, options.match)
            passed += ok
            failed += not_ok
        demo.send_signal(signal.SIGTERM)
        try:
            status = demo.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            status = "nothing, it did not end"
        if status == 0:
            passed += 1
            print("ok - server: SIGTERM ends it with status 0")
        else:
            failed += 1
            print(f"not ok - server: SIGTERM ends it with status 0; got {status}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
