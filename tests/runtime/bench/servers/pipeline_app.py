"""What one writes oneself: transformers' pipeline behind aiohttp. `python pipeline_app.py MODEL PORT`."""

import asyncio
import sys

from aiohttp import web
from transformers import pipeline

pipe = pipeline("text-classification", model=sys.argv[1], device="cpu")
lock = asyncio.Lock()


async def classify(request: web.Request) -> web.Response:
    texts = (await request.json())["inputs"]
    async with lock:
        return web.json_response(await asyncio.to_thread(pipe, texts, truncation=True, batch_size=32))


async def health(_: web.Request) -> web.Response:
    return web.json_response({"ok": True})


app = web.Application()
app.add_routes([web.post("/", classify), web.get("/health", health)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None, access_log=None)
