#!/usr/bin/env bash
# pygls 2.1.1: a server over standard input has no say in how it ends.
#
# The protocol wants exit status 1 after an `exit` without a `shutdown`. pygls calls sys.exit(1), and
# `start_io` swallows the SystemExit. Ctrl-C is swallowed too, but only after the thread that reads
# standard input has got another line, which it may never get.
#
# Expected: status 1; then an end by SIGINT.
# Seen:     exit without shutdown: status 0
#           Ctrl-C: still running after 5 seconds
# Way out:  note both requests in handlers of one's own, and choose the status after `start_io`; give
#           SIGINT its default action.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pygls==2.1.1 lsprotocol==2025.0.0
"$home/venv/bin/python" - <<'PYTHON'
import json
import signal
import subprocess
import sys
import time

SERVER = 'from pygls.lsp.server import LanguageServer; LanguageServer("server", "1").start_io()'


def message(request):
    body = json.dumps({"jsonrpc": "2.0", **request}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def started():
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    server.stdin.write(message({"id": 1, "method": "initialize", "params": {"capabilities": {}}}))
    server.stdin.flush()
    server.stdout.readline()  # it runs
    return server


told = started()
told.stdin.write(message({"method": "exit"}))
told.stdin.flush()
status = told.wait(60)
print("exit without shutdown: status", status)

stopped = started()
time.sleep(2)  # it waits for a line
stopped.send_signal(signal.SIGINT)
try:
    end = f"ended with {stopped.wait(5)}"
except subprocess.TimeoutExpired:
    end = "still running after 5 seconds"
    stopped.kill()
print("Ctrl-C:", end)
sys.exit(status != 0 or end.startswith("ended"))
PYTHON
