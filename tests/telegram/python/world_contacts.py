"""The address book and the profile, as Telethon keeps them."""

from people import Person, friends
from peer import add_user, control, post, refused, run
from telethon import functions as f, types as t


async def the_address_book_is_kept():
    (a,) = await friends("Anna")
    b_id, b_phone = add_user("Boris")
    c_id, c_phone = add_user("Clara", last_name="Cole")
    entry = lambda number, phone, first, last="": t.InputPhoneContact(number, phone, first, last)
    made = await a.client(f.contacts.ImportContactsRequest([entry(1, b_phone, "Borya"), entry(2, "+79990009999", "Nobody")]))
    assert [(one.user_id, one.client_id) for one in made.imported] == [(b_id, 1)]
    found = await a.client(f.contacts.ResolvePhoneRequest(c_phone))
    await a.client(f.contacts.AddContactRequest(found.users[0], "Claire", "C", c_phone))
    book = await a.client(f.contacts.GetContactsRequest(0))
    names = {user.id: (user.first_name, user.last_name, user.phone) for user in book.users}
    assert names == {b_id: ("Borya", None, b_phone), c_id: ("Claire", "C", c_phone)}, names
    assert all(user.contact and not user.mutual_contact for user in book.users)
    assert book.saved_count == 1
    assert await a.client(f.contacts.DeleteByPhonesRequest(["79990009999"]))
    assert (await a.client(f.contacts.GetContactsRequest(0))).saved_count == 0
    async with refused("CONTACT_NAME_EMPTY", 400):
        await a.client(f.contacts.AddContactRequest(found.users[0], "", "", c_phone))
    gone = await a.client(f.contacts.DeleteContactsRequest([b_id]))
    assert not gone.users[0].contact and gone.users[0].first_name == "Boris"
    assert [one.user_id for one in (await a.client(f.contacts.GetContactsRequest(0))).contacts] == [c_id]
    post(f"/users/{b_id}/privacy", {"kind": "added_by_phone", "audience": "nobody"})
    async with refused("PHONE_NOT_OCCUPIED", 400):
        await a.client(f.contacts.ResolvePhoneRequest(b_phone))
    async with refused("PHONE_NOT_OCCUPIED", 400):
        await a.client(f.contacts.ResolvePhoneRequest("+79990009999"))


async def a_name_is_found_whoever_has_it():
    (a,) = await friends("Anna")
    b_id, _ = add_user("Boris", username="boris_by_name")
    channel = post("/groups", {"creator": b_id, "title": "News of Boris", "kind": "channel", "username": "boris_news"})["id"]
    assert (await a.client.get_entity("boris_by_name")).id == b_id
    entity = await a.client.get_entity("@Boris_News")
    assert isinstance(entity, t.Channel) and entity.broadcast and entity.left and entity.title == "News of Boris"
    found = await a.client(f.contacts.SearchRequest("boris_", 10))
    assert {user.id for user in found.users} >= {b_id} and [chat.id for chat in found.chats] == [entity.id]
    assert channel == -1000000000000 - entity.id
    async with refused("USERNAME_NOT_OCCUPIED", 400):
        await a.client(f.contacts.ResolveUsernameRequest("nobody_here"))
    async with refused("USERNAME_INVALID", 400):
        await a.client(f.contacts.ResolveUsernameRequest("a!"))


async def a_profile_is_changed_and_seen():
    a, b = await friends("Anna", "Boris")
    a2 = await Person.log_in(a.phone)
    await b.client(f.contacts.AddContactRequest(await b.client.get_input_entity(a.id), "Anya", "", a.phone))
    me = await a.client(f.account.UpdateProfileRequest(first_name="Anna", last_name="Ivanova", about="At work"))
    assert (me.first_name, me.last_name) == ("Anna", "Ivanova")
    told = await a2.told(t.UpdateUserName)
    assert (told.first_name, told.last_name) == ("Anna", "Ivanova")
    assert (await b.told(t.UpdateUserName)).user_id == a.id
    full = await b.client(f.users.GetFullUserRequest(a.id))
    assert full.full_user.about == "At work" and full.full_user.profile_photo is None
    me = await a.client(f.account.UpdateProfileRequest(about=""))
    assert me.last_name == "Ivanova"
    assert (await b.client(f.users.GetFullUserRequest(a.id))).full_user.about is None
    async with refused("ABOUT_TOO_LONG", 400):
        await a.client(f.account.UpdateProfileRequest(about="x" * 71))
    async with refused("FIRSTNAME_INVALID", 400):
        await a.client(f.account.UpdateProfileRequest(first_name=" "))


async def a_user_name_is_taken_and_given_up():
    a, b = await friends("Anna", "Boris")
    assert await a.client(f.account.CheckUsernameRequest("anna_the_first"))
    me = await a.client(f.account.UpdateUsernameRequest("anna_the_first"))
    assert me.username == "anna_the_first" and (await b.client.get_entity("anna_the_first")).id == a.id
    assert not await b.client(f.account.CheckUsernameRequest("Anna_The_First"))
    async with refused("USERNAME_OCCUPIED", 400):
        await b.client(f.account.UpdateUsernameRequest("ANNA_the_first"))
    async with refused("USERNAME_NOT_MODIFIED", 400):
        await a.client(f.account.UpdateUsernameRequest("anna_the_first"))
    await a.client(f.account.UpdateUsernameRequest(""))
    assert (await b.client(f.account.UpdateUsernameRequest("anna_the_first"))).id == b.id
    assert control("GET", "/users")[-1]["username"] == "anna_the_first"


run(
    the_address_book_is_kept,
    a_name_is_found_whoever_has_it,
    a_profile_is_changed_and_seen,
    a_user_name_is_taken_and_given_up,
)
