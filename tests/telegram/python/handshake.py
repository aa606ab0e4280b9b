"""Key exchange and first requests by Telethon, on every framing it can speak.

Arguments: the server's public key (PEM file), its data centre, its port, names of framings.
Prints one line of JSON per framing.
"""

import asyncio
import json
import sys

from telethon import TelegramClient, events, functions, types
from telethon.crypto import rsa
from telethon.network.connection import ConnectionTcpAbridged, ConnectionTcpFull, ConnectionTcpIntermediate
from telethon.network.connection import ConnectionTcpObfuscated
from telethon.network.connection.connection import Connection
from telethon.network.connection.tcpintermediate import IntermediatePacketCodec, RandomizedIntermediatePacketCodec
from telethon.sessions import MemorySession


class TaggedPaddedCodec(RandomizedIntermediatePacketCodec):
    tag = b"\xdd\xdd\xdd\xdd"


class Padded(Connection):
    packet_codec = TaggedPaddedCodec


class ObfuscatedIntermediate(ConnectionTcpObfuscated):
    packet_codec = IntermediatePacketCodec


class ObfuscatedPadded(ConnectionTcpObfuscated):
    packet_codec = RandomizedIntermediatePacketCodec


FRAMINGS = {
    "full": ConnectionTcpFull,
    "abridged": ConnectionTcpAbridged,
    "intermediate": ConnectionTcpIntermediate,
    "padded": Padded,
    "obfuscated-abridged": ConnectionTcpObfuscated,
    "obfuscated-intermediate": ObfuscatedIntermediate,
    "obfuscated-padded": ObfuscatedPadded,
}


async def try_framing(name, dc, port):
    session = MemorySession()
    session.set_dc(dc, "127.0.0.1", port)
    client = TelegramClient(
        session,
        12345,
        "hash",
        connection=FRAMINGS[name],
        device_model="handshake",
        # Telethon drops a leading zero byte of the key it has made (1 in 256), sees its hash fail, and begins again.
        connection_retries=5,
        auto_reconnect=True,
    )
    pushed = asyncio.Queue()

    @client.on(events.Raw(types.UpdateServiceNotification))
    async def on_update(update):
        await pushed.put(update.message)

    await client.connect()
    config = await client(functions.help.GetConfigRequest())
    nearest = await client(functions.help.GetNearestDcRequest())
    both = await asyncio.gather(*[client(functions.help.GetNearestDcRequest()) for _ in range(20)])
    try:
        await client(functions.help.GetTermsOfServiceUpdateRequest())
        error = None
    except Exception as refusal:
        error = type(refusal).__name__
    push = await asyncio.wait_for(pushed.get(), 5)
    result = {
        "framing": name,
        "key_id": client.session.auth_key.key_id,
        "this_dc": config.this_dc,
        "options": len(config.dc_options),
        "country": nearest.country,
        "parallel": len(both),
        "error": error,
        "push": push,
    }
    await client.disconnect()
    return result


async def main():
    pem, dc, port, *names = sys.argv[1:]
    with open(pem) as key:
        rsa.add_key(key.read(), old=False)
    for name in names or FRAMINGS:
        print(json.dumps(await try_framing(name, int(dc), int(port))), flush=True)


asyncio.run(main())
