//! `GET /`: the endpoints, for a person.

/// The page.
pub(crate) async fn guide() -> &'static str {
    GUIDE
}

const GUIDE: &str = r#"This is a test Telegram. Bodies and answers are JSON; send -H 'content-type: application/json'.

where things are
  GET    /addresses                              data centres and their addresses
  GET    /public-key                             the RSA key that clients must trust (PKCS#1 PEM)
  POST   /seed                                   {"dir": "/path", "keys": 1}: more keys into dir/dc-seed.json

users
  GET    /users
  POST   /users                                  {"phone": "+79990000001", "first_name": "Anna"} and optionally
                                                 username, last_name, password, hint, id, dc, language, puppet: true
  POST   /users/ID                               {"deactivated": true} {"outdated": true} {"password": "x", or ""} {"hint": "of it"}
                                                 {"premium_only": true}: new chats are refused with PRIVACY_PREMIUM_REQUIRED
                                                 {"language": "ru"}: of their application
                                                 {"uninvitable": true}: contacts alone may bring them into groups
  POST   /users/ID/portrait                      {"base64": PNG or JPEG}: show it from now on
  POST   /users/ID/privacy                       {"kind": "phone_call" | "phone_p2p" | "phone_number" | "added_by_phone",
                                                  "audience": "everybody" | "contacts" | "nobody"}, and optionally
                                                 allow: [ID], disallow: [ID]; GET tells them
  POST   /users/ID/block                         {"other": ID, "blocked": true}
  GET    /login-code?phone=79990000001           the code that was just "sent"
  DELETE /login-code?phone=79990000001           let it expire
  POST   /users/ID/accept-login                  {"token": base64url, or "tg://login?token=..."}: let the device that shows it in

sessions
  GET    /keys                                   who is logged in where
  POST   /keys/KEY/revoke, /users/ID/revoke      {"text": "SESSION_REVOKED" | "AUTH_KEY_UNREGISTERED"}
  POST   /keys/KEY/forget                        its next message gets transport error -404
  POST   /users/ID/drop-connections              close them; the sessions stay
  POST   /users/ID/black-hole                    say nothing more on them
  POST   /users/ID/new-session                   new_session_created in mid-life
  POST   /users/ID/skip-seq                      {"count": 1}: a gap in seq
  POST   /users/ID/too-long                      updatesTooLong

chats; numbers of messages are those of ID's own box, "twin" is the number in the other user's
  GET    /users/ID/messages?with=ID              the box of a user, oldest first, with what was deleted ("deleted": true);
                                                 "reactions" and "pinned" are what bots left on them
  POST   /users/ID/messages                      {"to": ID, "text": "hello"}: say it; its answer has id and twin; optionally
                                                 reply_to, silent, and media: a list (several are an album) of
                                                 {"kind": "photo", "base64"} {"kind": "document", "base64", "name", "mime"}
                                                 {"kind": "voice", "base64", "duration"} {"kind": "audio", "base64", "duration", "title"}
                                                 {"kind": "video", "base64", "duration", "round"} {"kind": "sticker", "base64", "emoji"}
                                                 {"kind": "place", "latitude", "longitude", "title", "address"}
                                                 {"kind": "contact", "phone", "first_name", "last_name", "vcard"}
                                                 {"kind": "poll", "question", "answers": ["a", "b"], "multiple": false}
  POST   /users/ID/messages/MESSAGE              {"text": "hello again"}: change it; in a supergroup or channel with chat: ID
  DELETE /users/ID/messages/MESSAGE?revoke=true  delete it, for both; in a supergroup or channel with chat=ID
  POST   /users/ID/messages/MESSAGE/forward      {"from": CHAT, "to": ID}
  POST   /users/ID/messages/MESSAGE/react        {"chat": CHAT, "emoji": "👍" or null}
  POST   /users/ID/messages/MESSAGE/vote         {"chat": CHAT, "answers": [0]}: in a poll, by the numbers of its answers
  GET    /users/ID/chats                         the list of chats, the newest first, with unread and archived
  POST   /users/ID/archive                       {"other": CHAT, "archived": true}
  POST   /users/ID/send-scheduled                send now what waits for its time
  POST   /users/ID/read                          {"other": CHAT}: read all of it
  POST   /users/ID/typing                        {"other": CHAT}: be seen typing
  GET    /files/FILE                             the contents of a photo or document
  POST   /files/FILE/expire                      its present reference is refused with FILE_REFERENCE_EXPIRED
  POST   /web-pages                              {"url", "title", "site_name", "description"}: previews of it are shown

groups; their numbers are those that bots see: a basic group negative, supergroups and channels below -10^12.
A group may stand wherever a chat is asked for
  GET    /groups, /groups/ID
  POST   /groups                                 {"creator": ID, "title": "Sales", "members": [ID]} and optionally
                                                 "kind": "basic" | "supergroup" | "channel", username
  POST   /groups/ID                              {"by": ID, "title": "Sales 2"} {"by": ID, "admin": ID} {"by": ID, "no_admin": ID}
                                                 {"by": ID, "forbid": ["send_messages", "send_media", "change_info", "invite_users"]}
                                                 {"by": ID, "protected": true}: nothing of it may be forwarded
  POST   /groups/ID/members                      {"user": ID, "by": ID}: bring somebody in
  DELETE /groups/ID/members/USER?by=ID           put somebody out, or let them go
  POST   /groups/ID/link                         {"by": ID}: a new permanent invite link

calls; a puppet is a device that does what you say, made when first used
  GET    /calls                                  all calls
  POST   /users/ID/puppet                        let the user have one (incoming calls reach it from now on)
  GET    /users/ID/calls                         the calls its puppet sees
  POST   /users/ID/calls                         {"to": ID, "video": false}: dial
  POST   /users/ID/calls/CALL/receive            it rings here
  POST   /users/ID/calls/CALL/accept             answer
  POST   /users/ID/calls/CALL/discard            {"reason": "hangup" | "busy" | "missed" | "disconnect", "duration": 3}
  POST   /users/ID/calls/CALL/signal             {"hex": "00ff"}
  POST   /users/ID/next-call                     settings for the next call to or from the user, as in /settings "calls"
  POST   /calls/CALL/settings                    the same for a call not confirmed yet

bots; the Bot API has an address of its own, which POST /bots tells as "api"
  GET    /bots, /bots/ID                         with token, updates that wait, and when updates were asked for last
  POST   /bots                                   {"username": "line_bot", "name": "Line"} and optionally inline: false,
                                                 placeholder, inline_feedback: true, owner, id
  POST   /bots/ID                                {"inline": false} {"inline_feedback": true}
  POST   /bots/ID/token                          a new token; the old one is refused
  POST   /users/ID/press                         {"message": 7, "data": "d:1" or "label": "1"}: press a button, wait for the bot
  GET    /bot-journal?after=0&bot=ID&method=M    what came to the Bot API; DELETE forgets it
  POST   /bot-faults                             {"match": {"bot", "method", "nth", "times"}, "action": {"do": ...}}
                                                 error (code, description), retry_after (seconds), html (code),
                                                 delay (ms), hang, drop, lose_answer
  GET    /bot-faults; DELETE /bot-faults, /bot-faults/ID

how the world behaves
  GET    /settings
  POST   /settings                               any part of it, e.g. {"call_updates": "short" | "updates" | "sequenced",
                                                  "calls": {"p2p_allowed": false, "versions": "best" | "all"}}
                                                 {"short_messages": false, "edit_via_bot": true, "edit_time_s": 172800}
                                                 {"code_ways": ["app", "sms", "phrase", "call", "missed_call"], "code_timeout_s": 1,
                                                  "code_life_s": 5}: of login codes
                                                 "connections" of calls are a list of
                                                 {"kind": "reflector", "id": 1, "ip", "ipv6", "port", "tcp": false, "peer_tag": hex}
                                                 (each call its own tag without peer_tag; each side another), and
                                                 {"kind": "webrtc", "id": 2, "ip", "ipv6", "port", "turn": true, "stun": true,
                                                  "username", "password"}; "custom_parameters" is text
  GET    /reflectors                             relays started here: address, what they did, what became of each side's packets
  POST   /reflectors                             {"address": "127.0.0.1:0", "seed": 1}: start one, UDP and TCP; its answer has
                                                 "connections", ready for the settings of calls
  POST   /reflectors/ID/treatment                {"from": "caller" | "callee" (both without it), "loss": 0.1, "duplicates",
                                                  "reorder", "delay_ms", "jitter_ms", "cut": true}: the packets of a side
  DELETE /reflectors/ID                          stop it
  POST   /timers                                 {"scale": 0.1}: ten times faster

faults; the first rule that matches acts
  GET    /faults
  POST   /faults                                 {"match": {"user", "auth_key_id", "method", "nth", "times",
                                                  "share": 0.2, "seed": 1}, "action": {"do": ...}}
         on requests                             error (code, message), delay (ms), silence, lose_answer, close, reset,
                                                 black_hole, transport_error (code), bad_msg (code), bad_server_salt
         on pushes (method: updatePhoneCall,     drop_push, duplicate_push, reorder_push, delay_push (ms)
           phoneCallAccepted,
           updatePhoneCallSignalingData,
           updateNewMessage, ...)
         as Telegram says them                   420 FLOOD_WAIT_30, 400 PEER_FLOOD, 420 FROZEN_METHOD_INVALID, 403 USER_PRIVACY_RESTRICTED,
                                                 406 PRIVACY_PREMIUM_REQUIRED, 400 USER_IS_BLOCKED
  DELETE /faults, /faults/ID

what arrived
  GET    /journal?after=0&method=phone.requestCall&user=ID
  DELETE /journal
"#;
