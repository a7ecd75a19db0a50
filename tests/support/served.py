"""All that a server has imported when it answers, for a warm process of its own."""

# ruff: noqa: F401

import anyio._backends._asyncio
import uvicorn.lifespan.on
import uvicorn.loops.auto
import uvicorn.protocols.http.auto

import archspec.cli.serve
import archspec.serve.page_server
