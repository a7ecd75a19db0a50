"""Servers: a language server for editors, a live page for browsers, the page of a run that trains.

The live page: `page_server.py` wires what the others give. `spec_file.py` is the file,
`watching.py` its changes, `board.py` the state that each browser is shown. The page of a run:
`run_server.py`. For both, `loopback.py` is the address and `guard.py` who may ask there.
Texts are read by `answers.py`, in processes that `worker.py` keeps. `static/` is the page around
that of the network (`archspec.render.page`), with CodeMirror, which `editors/page` builds.
"""
