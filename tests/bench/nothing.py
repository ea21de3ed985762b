"""The least that a webhook in Python can be: it decodes the review and allows it.

python -m tests.bench.nothing PORT CERTIFICATE KEY
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import orjson
import uvloop
from aiohttp import web


async def allow(http: web.Request) -> web.Response:
    review = orjson.loads(await http.read())
    answer = {
        "apiVersion": review["apiVersion"],
        "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": True},
    }
    return web.Response(body=orjson.dumps(answer), headers={"Content-Type": "application/json"})


async def serve(port: str, certificate: str, key: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    app = web.Application(client_max_size=7 << 20)
    app.router.add_post("/mutate-pods", allow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port), ssl_context=tls).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
