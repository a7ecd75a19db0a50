#!/usr/bin/env bash
# pygls 2.1.1: a request whose parameters are wrong gets no answer at all.
#
# JSON-RPC wants an error of code -32602 with the request's id. A client that gets neither a result
# nor an error waits for ever, and editors keep such a request as one that is under way.
#
# Expected: an answer with id 2 and an error, before the answer with id 3.
# Seen:     server says: Error in server: Invalid Params
#           answered: 1, 3
# Way out:  none on the server's side but a message reader of one's own.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pygls==2.1.1 lsprotocol==2025.0.0
"$home/venv/bin/python" - <<'PYTHON'
import json
import subprocess
import sys

SERVER = """
from lsprotocol import types
from pygls.lsp.server import LanguageServer
server = LanguageServer("server", "1")
@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(params):
    return None
server.start_io()
"""

DOCUMENT = {"uri": "file:///a"}
PLACE = {"line": 0, "character": 0}
REQUESTS = [
    {"id": 1, "method": "initialize", "params": {"capabilities": {}}},
    {"id": 2, "method": "textDocument/hover", "params": {"textDocument": DOCUMENT}},
    {"id": 3, "method": "textDocument/hover", "params": {"textDocument": DOCUMENT, "position": PLACE}},
]


def message(request):
    body = json.dumps({"jsonrpc": "2.0", **request}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


server = subprocess.Popen(
    [sys.executable, "-c", SERVER],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
)
server.stdin.write(b"".join(map(message, REQUESTS)))
server.stdin.flush()
answered = []
while 3 not in answered:
    size = 0
    while (line := server.stdout.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        size = int(value) if name.lower() == b"content-length" else size
    answer = json.loads(server.stdout.read(size))
    if "id" in answer:
        answered.append(answer["id"])
    else:
        print("server says:", answer["params"]["message"])
print("answered:", ", ".join(map(str, answered)))
server.kill()
sys.exit(answered != [1, 3])
PYTHON
