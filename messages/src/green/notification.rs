//! Bodies of notifications.

use serde_json::{Value, json};

use crate::chat::Person;
use crate::id::{InstanceId, MessageId};
use crate::record::Record;
use crate::standing::Standing;

/// What is the same in all notifications of an instance.
pub(crate) struct Envelope<'a> {
    pub(crate) instance: InstanceId,
    pub(crate) wid: &'a str,
    pub(crate) now_s: i64,
}

pub(crate) fn message(_: &Envelope<'_>, kind: &'static str, record: &Record, link: Option<&str>) -> Value {
    json!({ "typeWebhook": kind, "idMessage": record.id.to_string(), "link": link, "text": record.content })
}

pub(crate) fn edited(
    _: &Envelope<'_>,
    kind: &'static str,
    id: MessageId,
    _: &Record,
    _: Option<&str>,
) -> Value {
    json!({ "typeWebhook": kind, "idMessage": id.to_string() })
}

pub(crate) fn deleted(_: &Envelope<'_>, kind: &'static str, id: MessageId, _: &Record) -> Value {
    json!({ "typeWebhook": kind, "idMessage": id.to_string() })
}

pub(crate) fn reaction(
    _: &Envelope<'_>,
    id: MessageId,
    emoji: &str,
    _: Option<&Person>,
    _: &Record,
) -> Value {
    json!({ "emoji": emoji, "idMessage": id.to_string() })
}

pub(crate) fn status(_: &Envelope<'_>, record: &Record, status: &str) -> Value {
    json!({ "typeWebhook": "outgoingMessageStatus", "status": status, "idMessage": record.id.to_string() })
}

pub(crate) fn standing(envelope: &Envelope<'_>, standing: Standing) -> Value {
    json!({ "instance": envelope.instance, "wid": envelope.wid, "at": envelope.now_s, "stateInstance": standing.as_str() })
}
