"""How soon a drawing is named over HTTP while 16 people draw, each asking four times a second, and how soon 10,000 images are sorted."""

import argparse
import asyncio
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from umeta.benchmarks.glyphs import render_glyphs
from umeta.cli.main import main as umeta

PACE_S = 0.25
BATCH = 64


def drawing(number: int) -> bytes:
    """Return a glyph as the page sends a drawing: a PNG of 112 x 112."""
    buffer = io.BytesIO()
    Image.fromarray(render_glyphs().images[number % 900, number % 12]).resize((112, 112)).save(buffer, "PNG")
    return buffer.getvalue()


async def begin(client: httpx.AsyncClient, number: int) -> str:
    path = f"/api/sessions/{(await client.post('/api/sessions')).json()['id']}"
    await client.post(f"{path}/start", json={"name": "Digits"})
    await client.post(f"{path}/predict", files=[("images", drawing(number))])
    return path


async def person(client: httpx.AsyncClient, path: str, drawings: list[bytes], due: float, until: float, times: list[float]) -> int:
    errors, index = 0, 0
    while due < until:
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        began = time.perf_counter()
        answer = await client.post(f"{path}/predict", files=[("images", drawings[index % len(drawings)])])
        times.append(1000 * (time.perf_counter() - began))
        errors += answer.status_code != 200
        due, index = max(due + PACE_S, time.perf_counter()), index + 1
    return errors


async def load(address: str, n: int, seconds: float) -> None:
    times: list[float] = []
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=n)) as client:
        paths = [await begin(client, number) for number in range(n)]
        drawings = [[drawing(31 * number + index) for index in range(20)] for number in range(n)]
        now = time.perf_counter()
        people = [person(client, paths[i], drawings[i], now + PACE_S * i / n, now + seconds, times) for i in range(n)]
        errors = sum(await asyncio.gather(*people))
    median, late = np.percentile(times, [50, 99])
    print(f"{n} people, {seconds:.0f} s: {len(times)} drawings, {len(times) / seconds:.0f}/s, {errors} errors")
    print(f"median {median:.1f} ms (wanted: under 15), 99th percentile {late:.1f} ms (wanted: under 50)")


def sort(address: str, n: int) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        path = f"/api/sessions/{client.post('/api/sessions').json()['id']}"
        client.post(f"{path}/start", json={"name": "Digits"})
        batch = [("images", drawing(index)) for index in range(BATCH)]
        began = time.perf_counter()
        for _ in range(-(-n // BATCH)):
            client.post(f"{path}/predict", files=batch).raise_for_status()
        print(f"{n} images sorted in {time.perf_counter() - began:.1f} s (wanted for 10000: under 60)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; default one learned in a few steps")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or Path(folder) / "run"
        if given.run is None and umeta(["learn", "glyphs", "--out", str(run), "--steps", "2"]) != 0:
            sys.exit(1)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        command = [sys.executable, "-m", "umeta", "serve", str(run), "--port", str(port)]
        server = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        address = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    httpx.get(f"{address}/api", timeout=5)
                    break
                except httpx.TransportError:
                    assert server.poll() is None, "the server ended"
                    time.sleep(0.2)
            asyncio.run(load(address, given.clients, given.seconds))
            sort(address, given.images)
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
