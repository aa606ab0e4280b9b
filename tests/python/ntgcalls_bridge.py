"""A bridge between a trunk's RTP and Telegram calls on ntgcalls, as it is built in Python: sound goes through the engine as PCM.

Arguments: JSON object {"version", "calls": [{"key" (hex), "remote": [address, port]}]}: where each call's trunk listens. ntgcalls
answers, the other end is the caller. The trunk speaks PCMA in packets of 20 ms.
Commands, one JSON object a line:  {"call", "signaling" (hex)} {"do": "quit"}
Events:  {"event": "ports", "ports": [..]} (of each call's trunk) {"event": "signaling", "call", "signaling" (hex)}
         {"event": "state", "call", "name"}
"""
import asyncio
import json
import os
import socket
import struct
import sys

import numpy as np
from ntgcalls import AudioDescription, FrameData, MediaDescription, MediaSource, NTgCalls, StreamDevice, StreamMode

RATE = 48000
FACTOR = RATE // 8000
FRAME_BYTES = RATE // 100 * 2
PCMA = 8
options = json.loads(sys.argv[1])


def decoded(byte):
    """One byte of A-law (G.711) as a sample of 16 bits."""
    byte ^= 0x55
    segment, mantissa = (byte >> 4) & 7, byte & 15
    value = (mantissa << 4) + 8 if segment == 0 else ((mantissa << 4) + 0x108) << (segment - 1)
    return value if byte & 0x80 else -value


DECODED = np.array([decoded(byte) for byte in range(256)], dtype="<i2")
# Every sample's nearest byte, by the high 13 bits that A-law tells apart.
ORDER = np.argsort(DECODED, kind="stable")
SAMPLES = (np.arange(8192) - 4096) * 8 + 4
NEAREST = np.clip(np.searchsorted(DECODED[ORDER], SAMPLES), 0, 255)
BELOW = np.clip(NEAREST - 1, 0, 255)
IS_BELOW = np.abs(DECODED[ORDER][BELOW] - SAMPLES) < np.abs(DECODED[ORDER][NEAREST] - SAMPLES)
ENCODED = ORDER[np.where(IS_BELOW, BELOW, NEAREST)].astype(np.uint8)


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Trunk(asyncio.DatagramProtocol):
    def __init__(self, engine, call, remote):
        self.engine, self.call, self.remote = engine, call, remote
        self.sequence, self.timestamp, self.waiting, self.tasks = 0, 0, [], set()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, _):
        if len(packet) <= 12 or packet[1] & 0x7F != PCMA:
            return
        pcm = np.repeat(DECODED[np.frombuffer(packet, dtype=np.uint8, offset=12)], FACTOR).tobytes()
        task = asyncio.ensure_future(self.feed(pcm))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def feed(self, pcm):
        try:
            for at in range(0, len(pcm), FRAME_BYTES):
                await self.engine.send_external_frame(
                    self.call, StreamDevice.MICROPHONE, pcm[at:at + FRAME_BYTES], FrameData())
        except Exception:
            # Not connected yet.
            pass

    def hear(self, frame):
        self.waiting.append(frame)
        if len(self.waiting) < 2:
            return
        samples = np.frombuffer(b"".join(self.waiting), dtype="<i2")
        self.waiting.clear()
        narrow = samples[:len(samples) // FACTOR * FACTOR].reshape(-1, FACTOR).mean(axis=1).astype(np.int32)
        payload = ENCODED[(narrow >> 3) + 4096].tobytes()
        header = struct.pack(">BBHII", 0x80, PCMA, self.sequence, self.timestamp, self.call)
        self.sequence, self.timestamp = (self.sequence + 1) & 0xFFFF, (self.timestamp + len(payload)) & 0xFFFFFFFF
        self.transport.sendto(header + payload, self.remote)


async def lines():
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def main():
    loop = asyncio.get_running_loop()
    engine = NTgCalls()
    trunks = {}

    def hear(call, mode, frames):
        if mode == StreamMode.PLAYBACK and call in trunks:
            for frame in frames:
                trunks[call].hear(bytes(frame.data))

    # Callbacks come on threads of the engine.
    engine.on_signaling_data(lambda call, data: loop.call_soon_threadsafe(
        lambda data: say("signaling", call=call, signaling=data.hex()), bytes(data)))
    engine.on_connection_change(lambda call, info: loop.call_soon_threadsafe(
        lambda state: say("state", call=call, name=state), str(info.state).rsplit(".", 1)[-1]))
    engine.on_frames(lambda call, mode, device, frames: loop.call_soon_threadsafe(hear, call, mode, frames))

    ports = []
    for number, call in enumerate(options["calls"]):
        local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        local.bind(("127.0.0.1", 0))
        trunk = Trunk(engine, number + 1, tuple(call["remote"]))
        await loop.create_datagram_endpoint(lambda trunk=trunk: trunk, sock=local)
        trunks[number + 1] = trunk
        ports.append(local.getsockname()[1])
        external = AudioDescription(MediaSource.EXTERNAL, RATE, 1, "", False)
        media = MediaDescription(microphone=external, speaker=None, camera=None, screen=None)
        await engine.create_p2p_call(number + 1)
        await engine.skip_exchange(number + 1, bytes.fromhex(call["key"]), False)
        await engine.set_stream_sources(number + 1, StreamMode.CAPTURE, media)
        await engine.set_stream_sources(number + 1, StreamMode.PLAYBACK, media)
        await engine.connect_p2p(number + 1, [], [options["version"]], True, None)
    say("ports", ports=ports)
    async for command in lines():
        if command.get("do") == "quit":
            break
        await engine.send_signaling_data(command["call"], bytes.fromhex(command["signaling"]))
    # The engine's teardown at interpreter exit is not dependable.
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
