"""What GREEN-API's official client for another messenger calls and the one for Telegram does not, at a server of ours.

Arguments: JSON object {"host", "instance", "token", "chat", "group", "phone"}.
Prints a JSON line for every call: {"method", "way", "code", "keys", "data"}, as green_sdk.py does. The last call gives the
instance another token, which its line shows.
"""
import asyncio
import json
import logging
import sys
import time

from whatsapp_api_client_python import API

options = json.loads(sys.argv[1])
chat, group, phone = str(options["chat"]), str(options["group"]), str(options["phone"])
logging.getLogger("whatsapp-api-client-python").disabled = True


def calls(api, message):
    """Methods with what they are called with."""
    return [
        (api.account, "getWaSettings", {}),
        (api.account, "getAuthorizationCode", {"phoneNumber": int(phone)}),
        (api.device, "getDeviceInfo", {}),
        (api.serviceMethods, "checkWhatsapp", {"phoneNumber": int(phone)}),
        (api.serviceMethods, "checkWhatsapp", {"chatId": f"{phone}@c.us"}),
        (api.serviceMethods, "getChats", {"count": 5}),
        (api.sending, "sendLink", {"chatId": chat, "urlLink": "https://example.org"}),
        (api.sending, "forwardMessages", {"chatId": chat, "chatIdFrom": chat, "messages": [message]}),
        (api.contacts, "addContact", {"chatId": f"{phone}@c.us", "firstName": "Anna", "lastName": "B"}),
        (api.contacts, "editContact", {"chatId": f"{phone}@c.us", "firstName": "Anna"}),
        (api.contacts, "deleteContact", {"chatId": f"{phone}@c.us"}),
        (api.groups, "updateGroupSettings", {"groupId": group, "allowParticipantsSendMessages": False}),
        (api.groups, "getGroupData", {"groupId": group}),
        (api.groups, "updateGroupName", {"groupId": group, "groupName": "Renamed"}),
        (api.queues, "showMessagesQueue", {}),
    ]


def say(name, way, response):
    data = response.data if response.code == 200 else response.error
    shown = data[0] if isinstance(data, list) and data else data
    keys = sorted(shown) if isinstance(shown, dict) else []
    fields = {"method": name, "way": way, "code": response.code, "keys": keys, "data": data}
    print(json.dumps(fields, ensure_ascii=False), flush=True)


def main():
    api = API.GreenAPI(str(options["instance"]), options["token"], host=options["host"], media=options["host"])
    sent = api.sending.sendMessage(chat, "to be forwarded")
    say("sendMessage", "sync", sent)
    while api.queues.getMessagesCount().data != {"count": 0}:
        time.sleep(0.5)
    for noun, name, arguments in calls(api, sent.data["idMessage"]):
        say(name, "sync", getattr(noun, name)(**arguments))
        # getDeviceInfo has no asynchronous twin.
        if hasattr(noun, f"{name}Async"):
            say(name, "async", asyncio.run(getattr(noun, f"{name}Async")(**arguments)))
    say("updateApiToken", "sync", api.account.updateApiToken())


main()
