"""The far end of one Telegram call on ntgcalls, with a key that both sides were given.

Arguments: JSON object {"socket", "key" (hex), "is_caller", "version", "tone_hz", "tone_ms", "wanted_hz"} and optionally
"plays" (a file of raw 48 kHz mono s16le instead of the tone), "p2p_allowed", "custom_parameters" (text) and "servers": {"id", "ip", "ipv6", "port"} with {"turn", "stun", "username",
"password"} or {"tcp", "peer_tag" (hex)}.
Signaling goes over the Unix stream socket: a length of four bytes, big-endian, then the packet.
Commands:  {"do": "heard"} {"do": "mute"} {"do": "unmute"} {"do": "forget"} (what was heard so far) {"do": "quit"}
           {"do": "dump", "path"} (what was heard, as "plays" is)
Events, one JSON object a line on standard output: started, state (name), dumped, heard (tone_share, received_ms,
silence_ms: the longest of it between the first and the last sound), source (device, state): what the other end said of its
microphone and camera.
"""
import asyncio
import json
import math
import os
import struct
import sys

import numpy as np
from ntgcalls import AudioDescription, MediaDescription, MediaSource, NTgCalls, RTCServer, StreamMode

RATE = 48000
CHUNK = RATE // 100
SILENCE = 200
PEER = 1001
options = json.loads(sys.argv[1])


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def name(value):
    return str(value).rsplit(".", 1)[-1]


def tone_file():
    t = np.arange(RATE * options["tone_ms"] // 1000)
    path = os.path.join(os.path.dirname(options["socket"]), "tone.pcm")
    (9000 * np.sin(2 * math.pi * options["tone_hz"] * t / RATE)).astype("<i2").tofile(path)
    return path


def microphone(source, path=""):
    return MediaDescription(
        microphone=AudioDescription(source, RATE, 1, path, False), speaker=None, camera=None, screen=None)


def server(one):
    tag = one.get("peer_tag")
    return RTCServer(
        one["id"], one.get("ip", ""), one.get("ipv6", ""), one["port"], one.get("username"), one.get("password"),
        one.get("turn", False), one.get("stun", False), one.get("tcp", False), bytes.fromhex(tag) if tag else None)


def heard(frames):
    """The share of the energy within 5 Hz of the wanted tone, milliseconds that sound, and the longest silence between."""
    samples = np.frombuffer(b"".join(frames), dtype="<i2").astype(float)
    chunks = samples[:len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)
    sounding = np.flatnonzero(np.abs(chunks).mean(axis=1) > SILENCE)
    silence = 10 * int((np.diff(sounding) - 1).max()) if len(sounding) > 1 else 0
    if len(sounding) < 50:
        return 0.0, 10 * len(sounding), silence
    part = samples[sounding[0] * CHUNK:(sounding[-1] + 1) * CHUNK]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    frequency = np.fft.rfftfreq(len(part), 1 / RATE)
    near = spectrum[np.abs(frequency - options["wanted_hz"]) <= 5].sum()
    return float(near / spectrum.sum()), 10 * len(sounding), silence


async def lines():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def main():
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_unix_connection(options["socket"])
    engine = NTgCalls()
    frames = []

    def send(packet):
        writer.write(struct.pack(">I", len(packet)) + packet)

    # Callbacks come on threads of the engine.
    engine.on_signaling_data(lambda _, data: loop.call_soon_threadsafe(send, bytes(data)))
    engine.on_connection_change(lambda _, info: loop.call_soon_threadsafe(
        lambda state: say("state", name=state), name(info.state)))
    engine.on_remote_source_change(lambda _, source: loop.call_soon_threadsafe(
        lambda device, state: say("source", device=device, state=state), name(source.device), name(source.state)))
    engine.on_frames(lambda _, mode, device, new: frames.extend(bytes(frame.data) for frame in new))

    await engine.create_p2p_call(PEER)
    await engine.skip_exchange(PEER, bytes.fromhex(options["key"]), options["is_caller"])
    await engine.set_stream_sources(PEER, StreamMode.CAPTURE, microphone(MediaSource.FILE, options.get("plays") or tone_file()))
    await engine.set_stream_sources(PEER, StreamMode.PLAYBACK, microphone(MediaSource.EXTERNAL))
    await engine.connect_p2p(
        PEER, [server(one) for one in options.get("servers", [])], [options["version"]],
        options.get("p2p_allowed", True), options.get("custom_parameters"))
    say("started")

    async def receive():
        try:
            while True:
                length, = struct.unpack(">I", await reader.readexactly(4))
                await engine.send_signaling_data(PEER, await reader.readexactly(length))
        except asyncio.IncompleteReadError:
            pass

    receiving = asyncio.create_task(receive())
    async for command in lines():
        if command["do"] == "heard":
            share, received_ms, silence_ms = heard(list(frames))
            say("heard", tone_share=share, received_ms=received_ms, silence_ms=silence_ms)
        elif command["do"] == "dump":
            with open(command["path"], "wb") as file:
                file.write(b"".join(list(frames)))
            say("dumped")
        elif command["do"] == "forget":
            frames.clear()
        elif command["do"] == "mute":
            await engine.mute(PEER)
        elif command["do"] == "unmute":
            await engine.unmute(PEER)
        elif command["do"] == "quit":
            break
    receiving.cancel()
    # ntgcalls 3.0.5 crashes when a call over a TCP reflector ends.
    if not any(one.get("tcp") for one in options.get("servers", [])):
        await engine.stop(PEER)
    # The engine's teardown at interpreter exit is not dependable.
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
