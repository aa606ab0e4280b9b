"""Two ntgcalls engines on two Telethon users: whole calls, with sound, over the test Telegram.

Needs an interface that is not loopback. Arguments: the versions to try; with "reflector:" and "udp", "tcp" or "both" before
one, the call may use a reflector alone, which the test Telegram starts on RELAY_ADDRESS.
"""

import asyncio
import math
import os
import secrets
import struct
import sys
import tempfile

import numpy
from ntgcalls import (
    AudioDescription, ConnectionState, DhConfig, MediaDescription, MediaSource, NTgCalls, RTCServer, StreamMode,
)
from peer import Phone, add_user, control, peer, post
from telethon import functions as f, types as t

RATE = 48000
TALK_S = 3.0
left = []


def tone(hertz):
    file = tempfile.NamedTemporaryFile(suffix=".pcm")
    file.write(b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * hertz * n / RATE))) for n in range(RATE * 15)))
    file.flush()
    return file


def share(samples, hertz):
    """The share of the energy within 5 Hz of the tone, in the middle of what was heard."""
    samples = samples[len(samples) // 4 : -len(samples) // 8]
    power = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples)))) ** 2
    bins = numpy.fft.rfftfreq(len(samples), 1 / RATE)
    return power[abs(bins - hertz) <= 5].sum() / power.sum()


class Engine:
    """One user's ntgcalls, fed by one user's Telethon."""

    def __init__(self, phone, other, hertz, version):
        self.phone, self.other, self.version = phone, other, version
        self.loop = asyncio.get_running_loop()
        self.calls = NTgCalls()
        self.connected = asyncio.Event()
        self.heard = bytearray()
        self.call = None
        self.file = tone(hertz)
        self.pump = None

        async def forward(data):
            assert await self.phone.signal(self.call, data)

        def connection(_, info):
            if info.state == ConnectionState.CONNECTED:
                self.loop.call_soon_threadsafe(self.connected.set)

        def frames(_, mode, device, frames):
            self.heard.extend(b"".join(bytes(frame.data) for frame in frames))

        self.calls.on_signaling_data(lambda _, data: asyncio.run_coroutine_threadsafe(forward(bytes(data)), self.loop))
        self.calls.on_connection_change(connection)
        self.calls.on_frames(frames)

    @property
    def protocol(self):
        ours = NTgCalls.get_protocol()
        return t.PhoneCallProtocol(ours.min_layer, ours.max_layer, [self.version], ours.udp_p2p, ours.udp_reflector)

    async def open(self, g_a_hash):
        await self.calls.create_p2p_call(self.other)
        plays = AudioDescription(MediaSource.FILE, RATE, 1, self.file.name, True)
        hears = AudioDescription(MediaSource.EXTERNAL, RATE, 1, "", False)
        for mode, audio in ((StreamMode.CAPTURE, plays), (StreamMode.PLAYBACK, hears)):
            media = MediaDescription(microphone=audio, speaker=None, camera=None, screen=None)
            await self.calls.set_stream_sources(self.other, mode, media)
        config = await self.phone.client(f.messages.GetDhConfigRequest(0, 256))
        return bytes(await self.calls.init_exchange(self.other, DhConfig(config.g, config.p, config.random), g_a_hash))

    async def connect(self, active):
        """From here on, what waits in the queue of signaling data goes to the engine."""
        self.by_tcp = any(one.tcp for one in active.connections)
        servers = [
            RTCServer(one.id, one.ip, one.ipv6, one.port, None, None, False, False, bool(one.tcp), bytes(one.peer_tag))
            for one in active.connections
        ]
        parameters = active.custom_parameters and active.custom_parameters.data
        await self.calls.connect_p2p(
            self.other, servers, active.protocol.library_versions, active.p2p_allowed, parameters
        )

        async def pump():
            while True:
                call_id, data = await self.phone.signaling.get()
                if call_id == self.call.id:
                    await self.calls.send_signaling_data(self.other, data)

        self.pump = asyncio.create_task(pump())

    async def stop(self):
        self.pump.cancel()
        if self.by_tcp:
            # ntgcalls 3.0.5 crashes when such a call ends; it is left alone until this program does.
            left.append(self.calls)
        else:
            await self.calls.stop(self.other)


async def one_call(version, a_id, a_phone, b_id, b_phone):
    a, b = Engine(a_phone, b_id, 440, version), Engine(b_phone, a_id, 880, version)
    user = await a.phone.client.get_input_entity(b_id)
    g_a_hash = await a.open(None)
    answer = await a.phone.client(
        f.phone.RequestCallRequest(
            t.InputUser(user.user_id, user.access_hash), g_a_hash, a.protocol, random_id=secrets.randbits(31)
        )
    )
    a.call = answer.phone_call
    requested = await b.phone.rings()
    b.call = requested
    await b.phone.receive(requested)
    await a.phone.next(t.PhoneCallWaiting)
    g_b = await b.open(bytes(requested.g_a_hash))
    await b.phone.client(f.phone.AcceptCallRequest(peer(requested), g_b, b.protocol))
    accepted = await a.phone.next(t.PhoneCallAccepted)
    auth = await a.calls.exchange_keys(a.other, bytes(accepted.g_b), 0)
    answer = await a.phone.client(
        f.phone.ConfirmCallRequest(peer(accepted), bytes(auth.g_a_or_b), auth.key_fingerprint, a.protocol)
    )
    active = await b.phone.next(t.PhoneCall)
    await b.calls.exchange_keys(b.other, bytes(active.g_a_or_b), active.key_fingerprint)
    emojis = [await side.calls.get_emojis_fingerprint(side.other) for side in (a, b)]
    assert emojis[0] == emojis[1], emojis
    await b.connect(active)
    await a.connect(answer.phone_call)
    await asyncio.wait_for(asyncio.gather(a.connected.wait(), b.connected.wait()), 20)
    await asyncio.sleep(TALK_S)
    await a.phone.discard(accepted, t.PhoneCallDiscardReasonHangup(), int(TALK_S))
    over = await b.phone.next(t.PhoneCallDiscarded)
    assert over.duration == int(TALK_S)
    for side, hertz in ((a, 880), (b, 440)):
        await side.stop()
        samples = numpy.frombuffer(bytes(side.heard), dtype="<i2").astype(float)
        assert len(samples) > RATE * TALK_S * 0.7, f"{len(samples) / RATE} s heard"
        got = share(samples, hertz)
        assert got > 0.98, f"{hertz} Hz has {got} of the energy"
        print(f"   {version}: {hertz} Hz heard for {len(samples) / RATE:.1f} s, {got:.3f} of the energy")


async def relayed_call(carriers, *call):
    """One that has nothing but a reflector, and gets all its packets through it."""
    relay = post("/reflectors", {"address": os.environ["RELAY_ADDRESS"] + ":0"})
    connections = [relay["connections"][carrier] for carrier in carriers]
    post("/settings", {"calls": {"p2p_allowed": False, "connections": connections, "custom_parameters": "{}"}})
    await one_call(*call)
    (row,) = [row for row in control("GET", "/reflectors") if row["id"] == relay["id"]]
    count = row["counters"]
    hellos = {"udp": count["udp_hellos"], "tcp": count["tcp_hellos"]}
    assert all((hellos[carrier] >= 2) == (carrier in carriers) for carrier in hellos), row
    # 50 packets of sound a second, each way.
    assert all(row[side]["passed"] >= 40 * TALK_S for side in ("from_caller", "from_callee")), row
    assert (count["malformed"], count["overrun"]) == (0, 0), row
    control("DELETE", f"/reflectors/{relay['id']}")
    post("/settings", {"calls": {"p2p_allowed": True, "connections": [], "custom_parameters": None}})


async def main():
    users = []
    for name in ("Anna", "Boris"):
        user_id, phone = add_user(name, username=name.lower() + "_media")
        users.append((user_id, await Phone.log_in(phone)))
    (a_id, a), (b_id, b) = users
    await a.client(f.contacts.ResolveUsernameRequest("boris_media"))
    await b.client(f.contacts.ResolveUsernameRequest("anna_media"))
    for wanted in sys.argv[1:]:
        relay, _, version = wanted.rpartition(":")
        call = (version, a_id, a, b_id, b)
        carriers = {"": None, "reflector:udp": ["udp"], "reflector:tcp": ["tcp"], "reflector:both": ["udp", "tcp"]}[relay]
        await asyncio.wait_for(relayed_call(carriers, *call) if carriers else one_call(*call), 60)
        print("ok", wanted, flush=True)
    os._exit(0)


asyncio.run(main())
