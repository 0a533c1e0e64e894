"""Report the error of a FastAPI view."""

import asyncio
import os

import httpx
import sentry_sdk
from fastapi import FastAPI

sentry_sdk.init(os.environ["SENTRY_DSN"], release="shop@1.4.2", server_name="web-1")
app = FastAPI()


@app.get("/checkout")
async def checkout() -> str:
    sentry_sdk.set_user({"id": "usr_99"})
    sentry_sdk.set_tag("order_id", "ord_4421")
    return str(dict[str, str]()["cart"])


async def ask() -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get("/checkout")


asyncio.run(ask())
sentry_sdk.flush()
