"""Files as Telethon sends, finds and fetches them: media of every kind, albums, portraits, references that expire."""

from people import OGG_VOICE, a_photo, coded, friends, named, picture, seen
from peer import control, post, refused, run
from telethon import functions as f, types as t

async def every_kind_of_media_arrives_as_it_was_sent():
    a, b = await friends("Anna", "Boris")
    voice = await a.client.send_file(b.id, named(OGG_VOICE, "voice.ogg"), voice_note=True, attributes=[
        t.DocumentAttributeAudio(7, voice=True, waveform=b"\1\2\3")])
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.voice and got.file.duration == 7 and got.media.voice and voice.voice, got
    film = [t.DocumentAttributeVideo(3.5, 320, 240, round_message=True)]
    await a.client.send_file(b.id, named(b"\0\0\0\x18ftypmp42", "film.mp4"), attributes=film, video_note=True)
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.video_note and got.media.round and got.file.duration == 3.5, got
    await a.client.send_file(b.id, t.InputMediaGeoPoint(t.InputGeoPoint(55.75, 37.61)))
    got = (await b.told(t.UpdateNewMessage)).message
    assert (got.geo.lat, got.geo.long) == (55.75, 37.61), got
    venue = t.InputMediaVenue(t.InputGeoPoint(-33.9, 18.4), "Office", "Long Street 1", "foursquare", "x", "")
    await a.client.send_file(b.id, venue)
    got = (await b.told(t.UpdateNewMessage)).message
    assert (got.venue.title, got.venue.address, got.geo.lat) == ("Office", "Long Street 1", -33.9), got
    async with refused("GEO_POINT_INVALID", 400):
        await a.client.send_file(b.id, t.InputMediaGeoPoint(t.InputGeoPoint(91, 0)))
    async with refused("MEDIA_CAPTION_TOO_LONG", 400):
        await a.client.send_file(b.id, a_photo(8, 8), caption="x" * 1025)
    kinds = [line["media"] for line in seen(b.id, a.id)]
    assert kinds == ["messageMediaDocument", "messageMediaDocument", "messageMediaGeo", "messageMediaVenue"], kinds
    assert seen(b.id, a.id)[3]["place"]["title"] == "Office"


async def an_album_is_one_message_of_many():
    a, b = await friends("Anna", "Boris")
    pictures = [a_photo(20 + n, 10) for n in range(3)]
    sent = await a.client.send_file(b.id, pictures, caption=["first", "", "third"])
    assert len(sent) == 3 and len({message.grouped_id for message in sent}) == 1 and sent[0].grouped_id
    got = [(await b.told(t.UpdateNewMessage)).message for _ in pictures]
    assert [message.message for message in got] == ["first", "", "third"]
    assert {message.grouped_id for message in got} == {sent[0].grouped_id}
    assert [message.photo.sizes[-1].w for message in got] == [20, 21, 22]
    assert len({line["album"] for line in seen(b.id, a.id)}) == 1
    forwarded = await b.client.forward_messages("me", got)
    assert len({message.grouped_id for message in forwarded}) == 1
    assert forwarded[0].grouped_id != sent[0].grouped_id and forwarded[0].fwd_from.saved_from_msg_id == got[0].id
    peer = await a.client.get_input_entity(b.id)
    made = await a.client(f.messages.UploadMediaRequest(peer, t.InputMediaUploadedPhoto(
        await a.client.upload_file(picture(20, 10), file_name="x.png"))))
    document = await a.client(f.messages.UploadMediaRequest(peer, t.InputMediaUploadedDocument(
        await a.client.upload_file(b"text", file_name="x.txt"), "text/plain", [])))
    photo = t.InputMediaPhoto(t.InputPhoto(made.photo.id, made.photo.access_hash, made.photo.file_reference))
    text = document.document
    text = t.InputMediaDocument(t.InputDocument(text.id, text.access_hash, text.file_reference))
    one = lambda media, number: t.InputSingleMedia(media, message="", random_id=number)
    async with refused("MEDIA_GROUPED_INVALID", 400):
        await a.client(f.messages.SendMultiMediaRequest(peer, [one(photo, 1), one(text, 2)]))
    async with refused("MULTI_MEDIA_TOO_LONG", 400):
        await a.client(f.messages.SendMultiMediaRequest(peer, [one(photo, n) for n in range(11)]))
    async with refused("RANDOM_ID_DUPLICATE", 500):
        await a.client(f.messages.SendMultiMediaRequest(peer, [one(photo, 3), one(photo, 3)]))


async def long_files_are_fetched_by_pieces():
    a, b = await friends("Anna", "Boris")
    long = bytes(range(251)) * 48000  # 11.5 MiB: goes up as a big file
    sent = await a.client.send_file(b.id, named(long, "backup.bin"), force_document=True)
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.file.size == len(long) and await b.client.download_media(got, bytes) == long
    pieces = [bytes(piece) async for piece in b.client.iter_download(got, offset=4096, limit=2, request_size=8192)]
    assert b"".join(pieces) == long[4096:4096 + 16384]
    document = got.document
    at = t.InputDocumentFileLocation(document.id, document.access_hash, document.file_reference, "")
    fetch = lambda offset, limit, **more: b.client(f.upload.GetFileRequest(at, offset, limit, **more))
    assert (await fetch(len(long) // 4096 * 4096, 4096)).bytes == long[len(long) // 4096 * 4096:]
    assert (await fetch(1 << 30, 4096)).bytes == b""
    assert (await fetch(1024, 1024, precise=True)).bytes == long[1024:2048]
    for offset, limit, error in ((1024, 4096, "OFFSET_INVALID"), (0, 5000, "LIMIT_INVALID"), (0, 2 << 20, "LIMIT_INVALID"),
                                 (4096, 1 << 20, "LIMIT_INVALID")):
        async with refused(error, 400):
            await fetch(offset, limit)
    hashes = await b.client(f.upload.GetFileHashesRequest(at, 0))
    assert hashes[0].limit == 131072 and sum(one.limit for one in hashes) == len(long)
    peer = await a.client.get_input_entity(b.id)
    assert await a.client(f.upload.SaveBigFilePartRequest(99, 1, 3, b"x" * 1024))
    async with refused("FILE_PART_0_MISSING", 400):
        lost = t.InputFileBig(99, 3, "lost.bin")
        await a.client(f.messages.SendMediaRequest(peer, t.InputMediaUploadedDocument(lost, "a/b", []), "", random_id=1))
    async with refused("FILE_PARTS_INVALID", 400):
        await a.client(f.upload.SaveBigFilePartRequest(98, 4, 3, b"x"))
    assert sent.document.id == document.id


async def a_reference_expires_and_is_renewed_with_its_message():
    a, b = await friends("Anna", "Boris")
    await a.client.send_file(b.id, a_photo(16, 16))
    got = (await b.told(t.UpdateNewMessage)).message
    number = seen(b.id, a.id)[0]["file"]
    assert post(f"/files/{number}/expire") == {"expired": True}
    async with refused("FILE_REFERENCE_EXPIRED", 400):
        await b.client.download_media(got, bytes)
    async with refused("FILE_REFERENCE_EXPIRED", 400):
        await b.client.send_file(a.id, got.photo)
    fresh = await b.client.get_messages(a.id, ids=got.id)
    assert fresh.photo.id == got.photo.id and fresh.photo.file_reference != got.photo.file_reference
    assert await b.client.download_media(fresh, bytes) == picture(16, 16)
    rule = post("/faults", {"match": {"user": b.id, "method": "upload.getFile", "times": 1},
                            "action": {"do": "error", "code": 400, "message": "FILE_REFERENCE_EXPIRED"}})
    async with refused("FILE_REFERENCE_EXPIRED", 400):
        await b.client.download_media(fresh, bytes)
    control("DELETE", f"/faults/{rule['id']}")


async def a_portrait_is_seen_by_others():
    a, b = await friends("Anna", "Boris")
    first, second = picture(64, 64), picture(80, 80)
    made = await a.client(f.photos.UploadProfilePhotoRequest(
        file=await a.client.upload_file(first, file_name="me.png")))
    assert made.users[0].photo.photo_id == made.photo.id
    (anna,) = await b.client(f.users.GetUsersRequest([await b.client.get_input_entity(a.id)]))
    assert anna.photo.photo_id == made.photo.id
    assert await b.client.download_profile_photo(anna, bytes) == first
    full = await b.client(f.users.GetFullUserRequest(a.id))
    assert full.full_user.profile_photo.id == made.photo.id
    newer = await a.client(f.photos.UploadProfilePhotoRequest(
        file=await a.client.upload_file(second, file_name="me.png")))
    photos = await b.client.get_profile_photos(a.id)
    assert [photo.id for photo in photos] == [newer.photo.id, made.photo.id]
    assert await b.client.download_media(photos[1], bytes) == first
    page = await b.client(f.photos.GetUserPhotosRequest(await b.client.get_input_entity(a.id), 1, 0, 1))
    assert page.count == 2 and page.photos[0].id == made.photo.id
    await a.client(f.photos.DeletePhotosRequest([t.InputPhoto(newer.photo.id, newer.photo.access_hash, b"")]))
    assert (await b.client.get_entity(a.id)).photo.photo_id == made.photo.id
    stranger = t.InputPeerPhotoFileLocation(await b.client.get_input_entity(a.id), 12345)
    async with refused("LOCATION_INVALID", 400):
        await b.client(f.upload.GetFileRequest(stranger, 0, 4096))
    async with refused("IMAGE_PROCESS_FAILED", 400):
        await a.client(f.photos.UploadProfilePhotoRequest(file=await a.client.upload_file(b"no", file_name="x.png")))
    assert post(f"/users/{b.id}/portrait", {"base64": coded(second)})["photo"]
    assert await a.client.download_profile_photo(b.id, bytes) == second


async def a_puppet_sends_media_of_every_kind():
    a, b = await friends("Anna", "Boris")
    write = lambda *media, **more: post(f"/users/{b.id}/messages", {"to": a.id, "media": list(media), **more})
    write({"kind": "photo", "base64": coded(picture(9, 9))}, text="look")
    got = (await a.told(t.UpdateNewMessage)).message
    assert got.photo and got.message == "look" and await a.client.download_media(got, bytes) == picture(9, 9)
    write({"kind": "document", "base64": coded(b"1,2"), "name": "t.csv", "mime": "text/csv"})
    got = (await a.told(t.UpdateNewMessage)).message
    assert (got.file.name, got.file.mime_type) == ("t.csv", "text/csv")
    write({"kind": "voice", "base64": coded(OGG_VOICE), "duration": 4})
    assert (await a.told(t.UpdateNewMessage)).message.voice
    write({"kind": "video", "base64": coded(OGG_VOICE), "duration": 2.5})
    assert (await a.told(t.UpdateNewMessage)).message.video
    write({"kind": "audio", "base64": coded(OGG_VOICE), "duration": 9, "title": "Song"})
    assert (await a.told(t.UpdateNewMessage)).message.file.title == "Song"
    write({"kind": "sticker", "base64": coded(b"RIFF"), "emoji": "👍"})
    assert (await a.told(t.UpdateNewMessage)).message.file.emoji == "👍"
    write({"kind": "place", "latitude": 1.5, "longitude": 2.5})
    assert (await a.told(t.UpdateNewMessage)).message.geo.lat == 1.5
    write({"kind": "contact", "phone": "+7999", "first_name": "Vera"})
    assert (await a.told(t.UpdateNewMessage)).message.contact.first_name == "Vera"
    said = write(*[{"kind": "photo", "base64": coded(picture(9, n))} for n in (3, 4)], text="two")
    album = [(await a.told(t.UpdateNewMessage)).message for _ in range(2)]
    assert len(said["all"]) == 2 and album[0].grouped_id == album[1].grouped_id and album[0].message == "two"
    assert "GEO_POINT_INVALID" in write({"kind": "place", "latitude": 99, "longitude": 0})["error"]


run(
    every_kind_of_media_arrives_as_it_was_sent,
    an_album_is_one_message_of_many,
    long_files_are_fetched_by_pieces,
    a_reference_expires_and_is_renewed_with_its_message,
    a_portrait_is_seen_by_others,
    a_puppet_sends_media_of_every_kind,
)
