"""Every method of GREEN-API's official client for Telegram, called at a server of ours, once and once more asynchronously.

Arguments: JSON object {"host", "instance", "token", "partner", "chat", "group", "member", "phone", "folder"}: the server, the
instance and its token, a partner's token, a person's number, a group's number, whom to add to the group, a phone number,
a folder to write files to.
Prints a JSON line for every call: {"method": "sending.sendMessage", "way": "sync" or "async", "code", "keys", "data"}; keys are
those of the answer, or of its first item where it is a list. Methods that this program does not know are called without
arguments, so that a newer client shows itself. uploadFileAsync of 1.0.1 fails before it sends anything: its code is null.
"""
import asyncio
import inspect
import json
import logging
import os
import sys
import time

from telegram_api_client_python import API

options = json.loads(sys.argv[1])
host, chat, group, member = options["host"], str(options["chat"]), str(options["group"]), str(options["member"])
logging.getLogger("telegram-api-client-python").disabled = True

picture = os.path.join(options["folder"], "picture.jpg")
letter = os.path.join(options["folder"], "письмо.txt")
# The smallest picture that viewers of JPEG take: one pixel.
JPEG = (
    "ffd8ffe000104a46494600010101006000600000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c"
    "20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080001000101011100ffc400140001000000000000000000000000"
    "0000000009ffc40014100100000000000000000000000000000000ffda0008010100003f0037ffd9"
)
with open(picture, "wb") as file:
    file.write(bytes.fromhex(JPEG))
with open(letter, "w", encoding="utf-8") as file:
    file.write("hello\n")

# What earlier calls gave: the message that was sent, the one with a file, the receipt of a notification.
known = {"message": "1", "file": "1", "receipt": 1}


def arguments(method):
    """What a method is called with."""
    poll = [{"optionName": "Yes"}, {"optionName": "No"}]
    return {
        "account.setSettings": [{"incomingWebhook": "yes", "outgoingWebhook": "yes"}],
        "account.setProfilePicture": [picture],
        "account.startAuthorization": [int(options["phone"])],
        "account.sendAuthorizationCode": ["12345"],
        "account.sendAuthorizationPassword": ["password"],
        "groups.createGroup": ["Group", [chat]],
        "groups.updateGroupName": [group, "Another name"],
        "groups.getGroupData": [group],
        "groups.addGroupParticipant": [group, member],
        "groups.removeGroupParticipant": [group, member],
        "groups.setGroupAdmin": [group, member],
        "groups.removeAdmin": [group, member],
        "groups.setGroupPicture": [group, picture],
        "groups.leaveGroup": [group],
        "journals.getChatHistory": [chat, 10],
        "journals.getMessage": [chat, known["message"]],
        "journals.lastIncomingMessages": [1440],
        "journals.lastOutgoingMessages": [1440],
        "marking.readChat": [chat],
        "receiving.deleteNotification": [known["receipt"]],
        "receiving.downloadFile": [chat, known["file"]],
        "sending.sendMessage": [chat, "hello"],
        "sending.sendFileByUpload": [chat, letter, "письмо.txt", "a letter"],
        "sending.sendFileByUrl": [chat, known.get("url", f"{host}/letter.txt"), "letter.txt", "a letter"],
        # The client puts the name into a header, which takes no other letters than Latin ones.
        "sending.uploadFile": [picture],
        "sending.sendLocation": [chat, 55.75, 37.61],
        "sending.sendContact": [chat, {"phoneContact": 79001234567, "firstName": "Anna"}],
        "sending.sendPoll": [chat, "Tea?", poll],
        "serviceMethods.checkAccount": [int(options["phone"])],
        "serviceMethods.getAvatar": [chat],
        "serviceMethods.getContactInfo": [chat],
        "serviceMethods.deleteMessage": [chat, known["message"]],
        "serviceMethods.editMessage": [chat, known["message"], "good morning"],
        "serviceMethods.archiveChat": [chat],
        "serviceMethods.unarchiveChat": [chat],
        "serviceMethods.sendTyping": [chat, 1000],
        "partner.createInstance": [{"name": "made by the official client", "incomingWebhook": "yes"}],
        "partner.deleteInstanceAccount": [known.get("made", 1)],
    }.get(method, [])


# These come first, because others need what they give, and these last, because nothing can be done after them.
FIRST = ["account.setSettings", "sending.sendMessage", "sending.sendFileByUpload", "sending.uploadFile"]
LAST = ["serviceMethods.deleteMessage", "groups.leaveGroup", "queues.clearWebhooksQueue", "account.reboot", "account.logout"]
NOUNS = ["account", "groups", "journals", "marking", "queues", "receiving", "sending", "serviceMethods"]


def methods(api, nouns):
    """All methods in the order of their calls."""
    found = []
    for noun in nouns:
        for name, _ in inspect.getmembers(getattr(api, noun), callable):
            if not name.startswith("_") and not name.endswith("Async"):
                found.append(f"{noun}.{name}")
    # Whoever is added is there to be promoted, and whoever is not removed too early to be demoted.
    group_order = ["add", "setGroupAdmin", "removeAdmin", "removeGroupParticipant"]

    def place(method):
        name = method.split(".")[1]
        within = next((at for at, start in enumerate(group_order) if name.startswith(start)), -1)
        if method in FIRST:
            return (0, FIRST.index(method), 0)
        if method in LAST:
            return (2, LAST.index(method), 0)
        return (1, 0, within)

    return sorted(found, key=place)


def learn(method, data):
    """Keeps what later calls need."""
    if not isinstance(data, dict):
        return
    if method == "sending.sendMessage":
        known["message"] = data.get("idMessage")
    if method == "sending.sendFileByUpload":
        known["file"] = data.get("idMessage")
    if method == "sending.uploadFile":
        known["url"] = data.get("urlFile")
    if method == "receiving.receiveNotification":
        known["receipt"] = data.get("receiptId")
    if method == "partner.createInstance":
        known["made"] = data.get("idInstance")


def say(method, way, response):
    data = response.data if response.code == 200 else response.error
    shown = data[0] if isinstance(data, list) and data else data
    keys = sorted(shown) if isinstance(shown, dict) else []
    fields = {"method": method, "way": way, "code": response.code, "keys": keys, "data": data}
    print(json.dumps(fields, ensure_ascii=False), file=lines, flush=True)
    learn(method, data)


def call(api, method):
    noun, name = method.split(".")
    return getattr(getattr(api, noun), name)(*arguments(method))


def call_async(api, method):
    noun, name = method.split(".")
    return asyncio.run(getattr(getattr(api, noun), f"{name}Async")(*arguments(method)))


def wait_until_sent(api):
    """What waits in the queue can be neither edited nor deleted."""
    for _ in range(40):
        if api.queues.getMessagesCount().data == {"count": 0}:
            return
        time.sleep(0.5)


def main():
    api = API.GreenAPI(str(options["instance"]), options["token"], host=host, media=host)
    partner = API.GreenApiPartner(options["partner"], host=host)
    calls = [(api, method) for method in methods(api, NOUNS) if method != "account.logout"]
    # A partner deletes what it has made.
    calls += [(partner, f"partner.{name}") for name in ["getInstances", "createInstance", "deleteInstanceAccount"]]
    ways = [("sync", call), ("async", call_async)]
    for way, do in ways:
        for of, method in calls:
            say(method, way, do(of, method))
            if method == FIRST[-1]:
                wait_until_sent(api)
    for way, do in ways:
        say("account.logout", way, do(api, "account.logout"))


# The client prints what it deletes; only our own lines go to standard output.
lines, sys.stdout = sys.stdout, sys.stderr
main()
