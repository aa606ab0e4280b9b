"""A Telegram user on Telethon and ntgcalls, driven by JSON lines on standard input.

Arguments: JSON object {"host", "port", "dc", "pem", "phone", "password"?, "tone_hz", "wanted_hz", "plays"?}; what it plays
is a file of 16-bit samples, one channel in 48 kHz, the low byte first, or else the tone.
Commands:  {"do": "code", "code"} {"do": "offer", "versions"} {"do": "call", "phone" | "username"} {"do": "answer"}
           {"do": "decline"} {"do": "give_up"} {"do": "hang_up"} {"do": "vanish"} {"do": "heard"} {"do": "record", "path"}
           {"do": "quit"}
Events, one JSON object a line on standard output: code_wanted, ready, requested, incoming, ringing, accepted, started
(versions, emoji), media (state), connected, discarded (reason, duration), stopped, heard (tone_share, span_ms, received_ms),
recorded (samples), signaling_refused, error.
"""
import asyncio
import hashlib
import json
import math
import os
import struct
import sys
import tempfile
import time

import numpy as np
from ntgcalls import (
    AudioDescription, ConnectionState, DhConfig, MediaDescription, MediaSource, NTgCalls, RTCServer, StreamMode,
)
from telethon import TelegramClient, events, errors
from telethon.crypto import rsa
from telethon.sessions import MemorySession
from telethon.tl import functions, types

RATE = 48000
options = json.loads(sys.argv[1])


def say(event, **fields):
    print(json.dumps({"event": event, "t": time.time(), **fields}), flush=True)


def tone_file(hz, seconds=120):
    file = tempfile.NamedTemporaryFile(suffix=".pcm", delete=False)
    t = np.arange(RATE * seconds)
    file.write((9000 * np.sin(2 * math.pi * hz * t / RATE)).astype("<i2").tobytes())
    file.close()
    return file.name


def tone_share(samples, hz):
    """Share of the energy within 5 Hz of the tone, over the part in which something is heard."""
    if len(samples) < RATE // 2:
        return 0.0
    windowed = samples * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(windowed)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    near = spectrum[np.abs(frequency - hz) <= 5].sum()
    return float(near / spectrum.sum()) if spectrum.sum() > 0 else 0.0


class User:
    def __init__(self, client):
        self.client = client
        self.loop = asyncio.get_running_loop()
        self.left = []              # engines whose call could not be ended
        self.by_tcp = False         # the call has a reflector over TCP
        self.peer = None            # key of the call inside the engine
        self.call = None            # InputPhoneCall
        self.requested = None       # phoneCallRequested waiting for an answer
        self.is_caller = False
        self.connecting = False
        self.buffered = []          # signaling before connect_p2p has returned
        self.frames = []
        self.media_up = None
        self.tone = options.get("plays") or tone_file(options.get("tone_hz", 440))
        self.versions = NTgCalls.get_protocol().library_versions
        self.new_engine()

    def new_engine(self):
        engine = self.engine = NTgCalls()

        def of_this(act):
            """An engine that was left goes on by itself, and nobody listens."""
            return lambda *facts: act(*facts) if self.engine is engine else None

        engine.on_signaling_data(of_this(lambda uid, data: asyncio.run_coroutine_threadsafe(self.send_signaling(bytes(data)), self.loop)))
        engine.on_connection_change(of_this(lambda uid, info: self.loop.call_soon_threadsafe(self.media, info.state)))
        engine.on_frames(of_this(self.on_frames))

    def on_frames(self, uid, mode, device, frames):
        if mode == StreamMode.PLAYBACK:
            now = time.time()
            for frame in frames:
                self.frames.append((now, bytes(frame.data)))

    def media(self, state):
        say("media", state=str(state).split(".")[-1])
        if state == ConnectionState.CONNECTED and self.media_up is None:
            self.media_up = time.time()
            say("connected")

    def protocol(self):
        return types.PhoneCallProtocol(min_layer=92, max_layer=92, udp_p2p=True, udp_reflector=True, library_versions=self.versions)

    async def dh(self):
        config = await self.client(functions.messages.GetDhConfigRequest(version=0, random_length=256))
        return DhConfig(config.g, bytes(config.p), bytes(config.random))

    async def open(self, peer):
        self.peer = peer
        self.frames, self.media_up, self.connecting, self.buffered = [], None, False, []
        await self.engine.create_p2p_call(peer)
        capture = AudioDescription(MediaSource.FILE, RATE, 1, self.tone, True)
        playback = AudioDescription(MediaSource.EXTERNAL, RATE, 1, "", False)
        await self.engine.set_stream_sources(peer, StreamMode.CAPTURE, MediaDescription(microphone=capture, speaker=None, camera=None, screen=None))
        await self.engine.set_stream_sources(peer, StreamMode.PLAYBACK, MediaDescription(microphone=playback, speaker=None, camera=None, screen=None))

    async def place(self, command):
        if "phone" in command:
            resolved = await self.client(functions.contacts.ResolvePhoneRequest(phone=command["phone"]))
        else:
            resolved = await self.client(functions.contacts.ResolveUsernameRequest(username=command["username"]))
        user = resolved.users[0]
        self.is_caller = True
        await self.open(user.id)
        g_a_hash = bytes(await self.engine.init_exchange(user.id, await self.dh(), None))
        answer = await self.client(functions.phone.RequestCallRequest(
            user_id=types.InputUser(user.id, user.access_hash), random_id=int.from_bytes(os.urandom(3), "big"),
            g_a_hash=g_a_hash, protocol=self.protocol(), video=False))
        call = answer.phone_call
        self.call = types.InputPhoneCall(call.id, call.access_hash)
        say("requested", call=call.id)

    async def answer(self):
        requested = self.requested
        await self.open(requested.admin_id)
        g_b = bytes(await self.engine.init_exchange(requested.admin_id, await self.dh(), bytes(requested.g_a_hash)))
        await self.client(functions.phone.AcceptCallRequest(peer=self.call, g_b=g_b, protocol=self.protocol()))

    async def on_update(self, update):
        if isinstance(update, types.UpdatePhoneCallSignalingData):
            if self.connecting:
                await self.engine.send_signaling_data(self.peer, bytes(update.data))
            else:
                self.buffered.append(bytes(update.data))
        elif isinstance(update, types.UpdatePhoneCall):
            await self.on_call(update.phone_call)

    async def on_call(self, call):
        if isinstance(call, types.PhoneCallRequested):
            self.is_caller, self.requested = False, call
            self.call = types.InputPhoneCall(call.id, call.access_hash)
            self.buffered = []
            await self.client(functions.phone.ReceivedCallRequest(peer=self.call))
            say("incoming", call=call.id, caller=call.admin_id, video=bool(call.video))
        elif self.call is None or call.id != self.call.id:
            return
        elif isinstance(call, types.PhoneCallWaiting) and call.receive_date:
            say("ringing")
        elif isinstance(call, types.PhoneCallAccepted):
            say("accepted")
            proof = await self.engine.exchange_keys(self.peer, bytes(call.g_b), 0)
            answer = await self.client(functions.phone.ConfirmCallRequest(
                peer=self.call, g_a=bytes(proof.g_a_or_b), key_fingerprint=proof.key_fingerprint, protocol=self.protocol()))
            await self.start(answer.phone_call)
        elif isinstance(call, types.PhoneCall) and not self.is_caller:
            await self.engine.exchange_keys(self.peer, bytes(call.g_a_or_b), call.key_fingerprint)
            await self.start(call)
        elif isinstance(call, types.PhoneCallDiscarded):
            say("discarded", reason=type(call.reason).__name__ if call.reason else None, duration=call.duration)
            await self.stop()
            say("stopped")

    async def start(self, call):
        self.by_tcp = any(isinstance(entry, types.PhoneConnection) and entry.tcp for entry in call.connections)
        servers = []
        for entry in call.connections:
            if isinstance(entry, types.PhoneConnectionWebrtc):
                servers.append(RTCServer(entry.id, entry.ip, entry.ipv6, entry.port, entry.username, entry.password, bool(entry.turn), bool(entry.stun), False, None))
            else:
                servers.append(RTCServer(entry.id, entry.ip, entry.ipv6, entry.port, None, None, False, False, bool(entry.tcp), bytes(entry.peer_tag)))
        parameters = call.custom_parameters.data if call.custom_parameters else None
        await self.engine.connect_p2p(self.peer, servers, list(call.protocol.library_versions), bool(call.p2p_allowed), parameters)
        self.connecting = True
        for data in self.buffered:
            await self.engine.send_signaling_data(self.peer, data)
        self.buffered = []
        say("started", versions=list(call.protocol.library_versions), emoji=await self.engine.get_emojis_fingerprint(self.peer))

    async def send_signaling(self, data):
        try:
            await self.client(functions.phone.SendSignalingDataRequest(peer=self.call, data=data))
        except Exception as error:
            say("signaling_refused", error=str(error))

    async def hang_up(self, reason, duration=None):
        if duration is None:
            duration = int(time.time() - self.media_up) if self.media_up else 0
        await self.client(functions.phone.DiscardCallRequest(peer=self.call, duration=duration, reason=reason, connection_id=0, video=False))
        await self.stop()

    async def stop(self):
        if self.peer is not None and self.by_tcp:
            # ntgcalls 3.0.5 crashes when such a call ends.
            self.left.append(self.engine)
            self.new_engine()
            self.peer, self.by_tcp = None, False
        elif self.peer is not None:
            try:
                await self.engine.stop(self.peer)
            except Exception as error:
                say("stop_failed", error=str(error))
            self.peer = None

    def record(self, path):
        """All that was heard in the latest call, in the shape of "plays"."""
        pcm = b"".join(data for _, data in self.frames)
        with open(path, "wb") as file:
            file.write(pcm)
        say("recorded", samples=len(pcm) // 2)

    def heard(self):
        """The tone over everything from the first audible frame to the last."""
        pcm = np.frombuffer(b"".join(data for _, data in self.frames), dtype="<i2").astype(np.float64)
        frame = RATE // 100
        whole = pcm[: len(pcm) // frame * frame].reshape(-1, frame)
        loud = np.sqrt((whole ** 2).mean(axis=1)) > 300 if len(whole) else np.array([], dtype=bool)
        audible = np.flatnonzero(loud)
        if len(audible) == 0:
            say("heard", tone_share=0.0, span_ms=0, received_ms=0, frames=len(whole))
            return
        span = whole[audible[0]: audible[-1] + 1].reshape(-1)
        steady = span[RATE // 5: len(span) - RATE // 5]
        say("heard", tone_share=tone_share(steady, options["wanted_hz"]), received_ms=int(loud.sum()) * 10,
            span_ms=len(span) * 1000 // RATE, frames=len(whole),
            first_ms=None if self.media_up is None else int((self.frames[audible[0]][0] - self.media_up) * 1000))


async def main():
    rsa.add_key(open(options["pem"]).read(), old=False)
    session = MemorySession()
    session.set_dc(options.get("dc", 2), options["host"], options["port"])
    client = TelegramClient(session, 12345, "0123456789abcdef0123456789abcdef", receive_updates=True)
    await client.connect()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def command():
        line = await reader.readline()
        return json.loads(line) if line else {"do": "quit"}

    sent = await client.send_code_request(options["phone"])
    say("code_wanted")
    code = (await command())["code"]
    try:
        await client.sign_in(options["phone"], code, phone_code_hash=sent.phone_code_hash)
    except errors.SessionPasswordNeededError:
        await client.sign_in(password=options["password"])
    user = User(client)
    queue = asyncio.Queue()

    @client.on(events.Raw)
    async def raw(update):
        queue.put_nowait(update)

    async def pump():
        while True:
            update = await queue.get()
            try:
                await user.on_update(update)
            except Exception as error:
                say("error", where=type(update).__name__, error=repr(error))

    pumping = asyncio.ensure_future(pump())
    me = await client.get_me()
    say("ready", id=me.id)
    while True:
        wish = await command()
        try:
            match wish["do"]:
                case "offer":
                    user.versions = wish["versions"] or NTgCalls.get_protocol().library_versions
                case "call":
                    await user.place(wish)
                case "answer":
                    await user.answer()
                case "decline":
                    await user.hang_up(types.PhoneCallDiscardReasonBusy(), 0)
                case "give_up":
                    await user.hang_up(types.PhoneCallDiscardReasonMissed(), 0)
                case "hang_up":
                    await user.hang_up(types.PhoneCallDiscardReasonHangup())
                case "vanish":
                    os._exit(9)
                case "heard":
                    user.heard()
                case "record":
                    user.record(wish["path"])
                case "quit":
                    break
                case other:
                    say("error", error=f"unknown command {other}")
        except Exception as error:
            say("error", where=wish.get("do"), error=repr(error))
    pumping.cancel()
    await user.stop()
    os._exit(0)


asyncio.run(main())
