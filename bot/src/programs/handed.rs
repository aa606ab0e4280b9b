//! What of a bot's updates other programs are handed (core.telegram.org/bots/api#update).

use serde_json::Value;

use crate::data::{Pressed, Wanted};
use crate::store::Incoming;

/// What Telegram tells only who asks for it by name.
const BY_NAME: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// An update for programs that want these kinds, or the usual ones. None for what is the keypad's or unwanted.
pub(super) fn handed(update: &Value, kinds: Option<&[String]>) -> Option<Incoming> {
    let id = u32::try_from(update.get("update_id")?.as_u64()?).ok()?;
    let (kind, what) = update.as_object()?.iter().find(|(key, _)| *key != "update_id")?;
    let wanted = match kinds {
        Some(kinds) => kinds.contains(kind),
        None => !BY_NAME.contains(&kind.as_str()),
    };
    if !wanted || is_ours(kind, what) {
        return None;
    }
    let mut rest = update.clone();
    rest.as_object_mut()?.remove("update_id");
    Some(Incoming { update: id, chat: chat(what), text: rest.to_string() })
}

/// An update as programs get it.
pub(super) fn told(number: i64, rest: &str) -> String {
    format!("{{\"update_id\":{number},{}", rest.strip_prefix('{').unwrap_or(rest))
}

/// Whether it is this program's own business, of which others know nothing.
fn is_ours(kind: &str, what: &Value) -> bool {
    let text = |key| what.get(key).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "callback_query" => Pressed::from_data(text("data")).is_some(),
        "inline_query" | "chosen_inline_result" => Wanted::from_query(text("query").trim()).is_some(),
        _ => false,
    }
}

/// The chat that an update is of, or the person.
fn chat(what: &Value) -> i64 {
    let places = ["/chat/id", "/message/chat/id", "/from/id", "/user/id", "/user_chat_id"];
    places.iter().find_map(|place| what.pointer(place).and_then(Value::as_i64)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn presses_and_queries_of_the_keypad_are_nobody_elses_and_all_others_are() {
        let press = |data: &str| json!({"update_id": 7, "callback_query": {"id": "1", "from": {"id": 5}, "data": data}});
        for ours in ["d:00000000000000a1:5", "c:+79060000000:5", "h:00000000000000a1:", "a:+79060000000:5"] {
            assert_eq!(handed(&press(ours), None), None, "{ours}");
        }
        for theirs in ["d:5", "order:12:yes", "", "c:1:2"] {
            let handed = handed(&press(theirs), None).unwrap();
            assert_eq!((handed.update, handed.chat), (7, 5), "{theirs}");
        }
        let query = |text: &str| json!({"update_id": 8, "inline_query": {"id": "1", "from": {"id": 5}, "query": text}});
        assert_eq!(handed(&query("keypad:00000000000000a1"), None), None);
        assert!(handed(&query("price of tea"), None).is_some());
    }

    #[test]
    fn an_update_is_told_whole_under_our_number() {
        let update =
            json!({"update_id": 9, "message": {"message_id": 1, "chat": {"id": -1005}, "text": "Привет"}});
        let kept = handed(&update, None).unwrap();
        assert_eq!((kept.update, kept.chat), (9, -1005));
        let told: Value = serde_json::from_str(&told(12, &kept.text)).unwrap();
        assert_eq!((&told["update_id"], &told["message"]), (&json!(12), &update["message"]));
    }

    #[test]
    fn programs_get_the_kinds_that_they_name_or_the_usual_ones() {
        let reaction = json!({"update_id": 1, "message_reaction": {"chat": {"id": 5}}});
        let message = json!({"update_id": 2, "message": {"chat": {"id": 5}}});
        let kinds = ["message_reaction".to_owned()];
        assert!(handed(&reaction, None).is_none() && handed(&message, None).is_some());
        assert!(handed(&reaction, Some(&kinds)).is_some() && handed(&message, Some(&kinds)).is_none());
        for nothing in [json!({"update_id": 1}), json!([]), json!({"message": {}})] {
            assert_eq!(handed(&nothing, None), None);
        }
    }
}
