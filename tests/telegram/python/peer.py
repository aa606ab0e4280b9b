"""Telethon users against the test Telegram, and the control API, for the scripts beside this one.

The environment says where: TELEGRAM_ADDRESS (host:port of data centre 2), TELEGRAM_KEY (PEM file), CONTROL (URL).
"""

import asyncio
import hashlib
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

from telethon import TelegramClient, events, functions as f, types as t
from telethon.crypto import rsa
from telethon.sessions import MemorySession

P = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DB"
    "FA336F6E0AC925139543AED44CCE7C3720FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F64"
    "2477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4A4A695811051907E162753B56B0F6B41"
    "0DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE2E4E15D04B2454BF"
    "6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
VERSIONS = ["13.0.0", "12.0.0", "9.0.0", "8.0.0"]

rsa.add_key(open(os.environ["TELEGRAM_KEY"]).read(), old=False)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["CONTROL"] + path, data=data, method=method)
    request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


def post(path, body=None):
    return control("POST", path, {} if body is None else body)


_phones = iter(range(79990000001, 79999999999))


def add_user(first_name, **more):
    """A new user: (id, phone)."""
    phone = str(next(_phones))
    made = post("/users", {"phone": phone, "first_name": first_name, **more})
    return made["id"], phone


def login_code(phone):
    return control("GET", "/login-code?phone=" + urllib.parse.quote(phone))["code"]


def stranger():
    """A client that is connected to nobody's account yet."""
    host, port = os.environ["TELEGRAM_ADDRESS"].rsplit(":", 1)
    session = MemorySession()
    session.set_dc(2, host, int(port))
    return TelegramClient(session, 12345, "hash")


async def log_in(phone, password=None):
    client = stranger()
    await client.connect()
    await client.send_code_request(phone)
    try:
        await client.sign_in(phone, login_code(phone))
    except Exception as error:  # the second factor is asked for by an error
        if password is None or type(error).__name__ != "SessionPasswordNeededError":
            raise
        await client.sign_in(password=password)
    return client


class refused:
    """The block must raise a Telegram error with this text."""

    def __init__(self, text, code=None):
        self.text, self.code = text, code

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, _):
        assert error is not None, f"{self.text} did not come"
        name = getattr(error, "message", None) or str(error)
        told = f"{type(error).__name__} {name} {error}"
        wanted = self.text.lower().replace("_", "")
        assert wanted in told.lower().replace("_", "").replace(" ", ""), f"wanted {self.text}, got {told}"
        if self.code is not None:
            assert error.code == self.code, f"wanted {self.code}, got {error.code}"
        return True


class Phone:
    """A logged-in Telethon client with a queue of what happens to its calls."""

    def __init__(self, client):
        self.client = client
        self.states = asyncio.Queue()
        self.signaling = asyncio.Queue()
        self.messages = asyncio.Queue()
        self.requested = asyncio.Queue()
        client.add_event_handler(self._update, events.Raw())

    @classmethod
    async def log_in(cls, phone):
        return cls(await log_in(phone))

    async def _update(self, update):
        if isinstance(update, t.UpdatePhoneCall):
            call = update.phone_call
            queue = self.requested if isinstance(call, t.PhoneCallRequested) else self.states
            queue.put_nowait(call)
        elif isinstance(update, t.UpdatePhoneCallSignalingData):
            self.signaling.put_nowait((update.phone_call_id, update.data))
        elif isinstance(update, t.UpdateNewMessage):
            self.messages.put_nowait(update.message)

    async def next(self, kind, within=5):
        """The next state of a call, which must be of this kind."""
        call = await asyncio.wait_for(self.states.get(), within)
        assert isinstance(call, kind), f"wanted {kind.__name__}, got {call}"
        return call

    async def rings(self, within=5):
        return await asyncio.wait_for(self.requested.get(), within)

    async def silent(self, seconds=0.3):
        await asyncio.sleep(seconds)
        assert self.states.empty() and self.requested.empty(), "an update that should not have come"

    async def line(self, within=5):
        """The next service message about a call."""
        message = await asyncio.wait_for(self.messages.get(), within)
        return message.action, message

    async def dial(self, user_id, video=False, random_id=None, versions=VERSIONS, **protocol):
        user = await self.client.get_input_entity(user_id)
        call = Call(versions, **protocol)
        answer = await self.client(
            f.phone.RequestCallRequest(
                user_id=t.InputUser(user.user_id, user.access_hash),
                random_id=secrets.randbits(31) if random_id is None else random_id,
                g_a_hash=hashlib.sha256(call.public).digest(),
                protocol=call.protocol,
                video=video,
            )
        )
        assert isinstance(answer.phone_call, t.PhoneCallWaiting), answer
        call.take(answer.phone_call)
        return call

    async def receive(self, call):
        return await self.client(f.phone.ReceivedCallRequest(peer(call)))

    async def accept(self, requested, versions=VERSIONS):
        call = Call(versions)
        call.take(requested)
        call.g_a_hash = requested.g_a_hash
        answer = await self.client(f.phone.AcceptCallRequest(call.peer, call.public, call.protocol))
        assert isinstance(answer.phone_call, t.PhoneCallWaiting), answer
        return call

    async def confirm(self, call, accepted):
        call.take(accepted)
        key = call.agree(accepted.g_b)
        answer = await self.client(
            f.phone.ConfirmCallRequest(call.peer, call.public, fingerprint(key), call.protocol)
        )
        assert isinstance(answer.phone_call, t.PhoneCall), answer
        assert answer.phone_call.g_a_or_b == accepted.g_b
        return answer.phone_call

    async def discard(self, call, reason, duration=0):
        return await self.client(f.phone.DiscardCallRequest(peer(call), duration, reason, 0))

    async def signal(self, call, data):
        return await self.client(f.phone.SendSignalingDataRequest(peer(call), data))


class Call:
    """One side's key agreement."""

    def __init__(self, versions=VERSIONS, **protocol):
        self.secret = secrets.randbits(2048) % P
        self.public = pow(3, self.secret, P).to_bytes(256, "big")
        said = {"udp_p2p": True, "udp_reflector": True, "min_layer": 65, "max_layer": 92, **protocol}
        self.protocol = t.PhoneCallProtocol(library_versions=versions, **said)
        self.key = self.g_a_hash = None

    def take(self, call):
        self.id, self.access_hash = call.id, call.access_hash

    @property
    def peer(self):
        return t.InputPhoneCall(self.id, self.access_hash)

    def agree(self, other):
        self.key = pow(int.from_bytes(other, "big"), self.secret, P).to_bytes(256, "big")
        return self.key

    def check(self, active):
        """The callee's checks of the caller's half."""
        assert hashlib.sha256(active.g_a_or_b).digest() == self.g_a_hash
        assert fingerprint(self.agree(active.g_a_or_b)) == active.key_fingerprint


def peer(call):
    return t.InputPhoneCall(call.id, call.access_hash)


def fingerprint(key):
    return int.from_bytes(hashlib.sha1(key).digest()[12:20], "little", signed=True)


async def talk(caller, callee, callee_id, ring=True):
    """A call that gets as far as both sides having the key: (caller's, callee's) side."""
    ours = await caller.dial(callee_id)
    requested = await callee.rings()
    assert requested.id == ours.id
    if ring:
        assert await callee.receive(requested)
        waiting = await caller.next(t.PhoneCallWaiting)
        assert waiting.receive_date
    theirs = await callee.accept(requested)
    accepted = await caller.next(t.PhoneCallAccepted)
    await caller.confirm(ours, accepted)
    active = await callee.next(t.PhoneCall)
    theirs.check(active)
    assert theirs.key == ours.key
    return ours, theirs


def run(*tests):
    """Runs each test in turn and names it."""

    async def all_of_them():
        for test in tests:
            await asyncio.wait_for(test(), 60)
            print("ok", test.__name__, flush=True)

    asyncio.new_event_loop().run_until_complete(all_of_them())
    # Telethon's tasks do not always take their cancellation, and an orderly end would wait for them for ever.
    os._exit(0)
