"""Uvicorn that leaves no client behind: as it is, it closes what it has accepted and not yet read."""

import asyncio
import sys

import uvicorn


class Server(uvicorn.Server):
    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()  # accept no more ...
        await asyncio.sleep(1)  # ... and answer what was accepted
        await super().shutdown(sockets)


Server(uvicorn.Config(sys.argv[1], fd=3)).run()
