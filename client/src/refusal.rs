//! The message to a caller whom the line's rules kept from the PBX, at most once in a while.

use std::sync::Arc;

use tgtrunk_config::control::{CallInfo, RefusedBy};
use tgtrunk_config::{Line, TextKey};
use tracing::warn;

use crate::desk::Desk;
use crate::{answer, clock};

/// What a caller is told of a call, if anything.
pub(crate) fn text(call: &CallInfo, line: &Line) -> Option<TextKey> {
    match call.refused_by? {
        RefusedBy::List => line.from_telegram.refused_message.then_some(TextKey::Refused),
        RefusedBy::Hours => line.hours.outside_message.then_some(TextKey::OutsideHours),
        // They heard that the line is busy, which it is.
        RefusedBy::Rate => None,
    }
}

/// Tells a caller, unless they were told lately.
pub(crate) async fn send(desk: Arc<Desk>, person: i64, key: TextKey) {
    let now_s = clock::unix_s();
    let every = desk.manner().line.from_telegram.message_every;
    let since_s = now_s.saturating_sub(i64::try_from(every.as_secs()).unwrap_or(i64::MAX));
    match desk.store.begin_refusal(person, now_s, since_s).await {
        Ok(true) => answer::send(desk, person, true, key).await,
        Ok(false) => {}
        Err(error) => warn!(%error, "a refused caller is not told: it could not be noted"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_caller_is_told_what_kept_them_out_where_the_line_wants_that() {
        let call = |refused_by: &str| -> CallInfo {
            serde_json::from_str(&format!(
                r#"{{"call":"00000000000000a1","line":"+79060000000","direction":"telegram-to-pbx","state":"ended","peer":{{}},"started_ms":1{refused_by}}}"#
            ))
            .unwrap()
        };
        let (list, hours) = (call(r#","refused_by":"list""#), call(r#","refused_by":"hours""#));
        let (rate, taken) = (call(r#","refused_by":"rate""#), call(""));
        let quiet = line("");
        assert_eq!([&list, &hours, &rate, &taken].map(|call| text(call, &quiet)), [None; 4]);
        let told = line("[from_telegram]\nrefused_message = true\n[hours]\noutside_message = true\n");
        let texts = [Some(TextKey::Refused), Some(TextKey::OutsideHours), None, None];
        assert_eq!([&list, &hours, &rate, &taken].map(|call| text(call, &told)), texts);
    }

    fn line(more: &str) -> Line {
        let text = format!("phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n{more}");
        Line::parse(&text, Path::new("l"), "+79060000000", &BTreeMap::new()).unwrap()
    }
}
