//! The keys of answers; a `?` stands behind those that are not always there.

/// Of the settings.
pub(crate) const SETTINGS: [&str; 20] = [
    "wid",
    "typeInstance",
    "webhookUrl",
    "webhookUrlToken",
    "delaySendMessagesMilliseconds",
    "markIncomingMessagesReaded",
    "markIncomingMessagesReadedOnReply",
    "outgoingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "stateWebhook",
    "incomingWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
    "keepOnlineStatus",
    "enableMessagesHistory",
    "pollMessageWebhook",
    "incomingCallWebhook",
    "deviceWebhook",
    "statusInstanceWebhook",
];

/// Of the account's own card.
pub(crate) const ACCOUNT: [&str; 4] = ["avatar", "phone", "stateInstance", "chatId"];

/// Of a journal's line of any kind.
pub(crate) const LINE: [&str; 29] = [
    "type",
    "idMessage",
    "timestamp",
    "typeMessage",
    "chatId",
    "chatType?",
    "chatName?",
    "senderId?",
    "senderName?",
    "senderContactName?",
    "senderType?",
    "senderPhoneNumber?",
    "textMessage?",
    "extendedTextMessage?",
    "downloadUrl?",
    "caption?",
    "fileName?",
    "mimeType?",
    "jpegThumbnail?",
    "location?",
    "contact?",
    "pollMessageData?",
    "quotedMessage?",
    "isEdited?",
    "isDeleted?",
    "isForwarded?",
    "forwardingScore?",
    "statusMessage?",
    "sendByApi?",
];

/// Of a line of the outgoing queue, that of a text.
pub(crate) const QUEUED: [&str; 9] =
    ["messageID", "idMessage", "type", "typeMessage", "chatId", "body", "attempts", "notBefore", "message"];

/// Of a group.
pub(crate) const GROUP: [&str; 17] = [
    "chatId",
    "owner",
    "subject",
    "description",
    "creation",
    "groupInviteLink",
    "isSupergroup",
    "isChannel",
    "participants",
    "allowParticipantsSendMessages",
    "allowParticipantsSendMedia",
    "allowParticipantsSendPolls",
    "allowParticipantsSendOtherMessages",
    "allowParticipantsAddWebPagePreviews",
    "allowParticipantsEditGroupSettings",
    "allowParticipantsAddMembers",
    "allowParticipantsPinMessages",
];

/// Of a chat among others.
pub(crate) const CHAT: [&str; 6] = ["chatId", "name", "type", "phoneNumber", "username", "archive"];

/// Of a contact among others.
pub(crate) const CONTACT: [&str; 6] = ["chatId", "name", "contactName", "type", "phoneNumber", "username"];

/// Of what is known of somebody.
pub(crate) const INFO: [&str; 8] =
    ["avatar", "name", "contactName", "chatId", "lastSeen", "phoneNumber", "username", "description"];

/// Of the telephone that an instance is taken for.
pub(crate) const DEVICE: [&str; 6] =
    ["platform", "deviceManufacturer", "deviceModel", "osVersion", "waVersion", "battery"];

/// Of an instance among others.
pub(crate) const INSTANCE: [&str; 15] = [
    "idInstance",
    "name",
    "typeInstance",
    "typeAccount",
    "messenger",
    "partnerUserUiid",
    "timeCreated",
    "timeDeleted",
    "apiTokenInstance",
    "deleted",
    "tariff",
    "isFree",
    "isPartner",
    "expirationDate",
    "isExpired",
];
