//! Telegram's side of calls that tcpdump saw on the trunk's: when Telegram was asked for each of them, and when its callee
//! accepted. Both go by the machine's clock; the test Telegram notes whole milliseconds, and what it has served.

use std::collections::HashMap;

use grammers_tl_types as tl;
use tgtrunk_test_telegram::World;
use tgtrunk_test_telegram::world::Entry;
use tgtrunk_tests::tcpdump::Answered;

/// Half of a millisecond, in which what is noted is taken to have been.
const HALF_US: u64 = 500;

/// What Telegram was asked about a person's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    at_us: u64,
    /// The callee's, digits alone.
    phone: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `phone.requestCall`, the first that Telegram is asked for a call to somebody whom the line knows.
    Request,
    /// `phone.acceptCall`.
    Acceptance,
}

/// How long calls that were answered took from one side to the other, in microseconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Crossings {
    pub(crate) invite_to_request_us: Vec<u64>,
    pub(crate) acceptance_to_200_us: Vec<u64>,
}

/// What the journal has of requests for calls and of their acceptances, oldest first.
pub(crate) fn asked(world: &World) -> Vec<Asked> {
    let phones: HashMap<i64, String> = world.users().into_iter().map(|user| (user.id, user.phone)).collect();
    let one = |entry: &Entry| {
        let (callee, what) = match entry.method {
            "phone.requestCall" => {
                let request = entry.request::<tl::functions::phone::RequestCall>()?;
                let tl::enums::InputUser::User(callee) = request.user_id else { return None };
                (callee.user_id, What::Request)
            }
            "phone.acceptCall" => (entry.user?, What::Acceptance),
            _ => return None,
        };
        Some(Asked { at_us: entry.at_ms * 1000 + HALF_US, phone: phones.get(&callee)?.clone(), what })
    };
    world.journal(0).iter().filter_map(one).collect()
}

impl Crossings {
    /// Those of answered calls. Of a call that the journal has forgotten nothing is told.
    pub(crate) fn of(answered: &[Answered], asked: &[Asked]) -> Self {
        let mut of_phones = HashMap::<&str, Vec<&Asked>>::new();
        for one in asked {
            of_phones.entry(&one.phone).or_default().push(one);
        }
        let mut found = Self::default();
        for call in answered {
            let Some(asked) = of_phones.get(call.callee.trim_start_matches('+')) else { continue };
            let is_of_it =
                |at_us: u64| at_us + HALF_US >= call.invited_us && at_us <= call.answered_us + HALF_US;
            let first = |what: What| {
                let found = asked.iter().find(|one| one.what == what && is_of_it(one.at_us));
                found.map(|one| one.at_us)
            };
            if let Some(requested_us) = first(What::Request) {
                found.invite_to_request_us.push(requested_us.saturating_sub(call.invited_us));
            }
            if let Some(accepted_us) = first(What::Acceptance) {
                found.acceptance_to_200_us.push(call.answered_us.saturating_sub(accepted_us));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tgtrunk_tests::tcpdump::SetUps;

    use super::*;

    #[test]
    fn a_call_goes_with_what_telegram_was_asked_between_its_invite_and_its_200() {
        let message = |us, start: &str, call: &str, method: &str| {
            let text = format!("{start}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n");
            (Duration::from_micros(us), text.into_bytes())
        };
        let invite = |person: u32| format!("INVITE sip:+7916400{person:04}@127.0.0.1:5060 SIP/2.0");
        let passed = [
            message(10_000, &invite(1), "a", "INVITE"),
            message(10_100, "INVITE sip:+79164000001@127.0.0.1:30001 SIP/2.0", "of the gateway", "INVITE"),
            message(11_000, &invite(2), "b", "INVITE"),
            message(20_000, "SIP/2.0 200 OK", "b", "INVITE"),
            // The answer to the INVITE that was sent again.
            message(30_000, &invite(1), "a", "INVITE"),
            message(40_000, "SIP/2.0 200 OK", "a", "INVITE"),
            message(40_500, "SIP/2.0 200 OK", "a", "INVITE"),
            message(50_000, "SIP/2.0 200 OK", "a", "BYE"),
            // What was asked for it is forgotten, and its callee is called again later.
            message(60_000, &invite(3), "c", "INVITE"),
            message(65_000, "SIP/2.0 200 OK", "c", "INVITE"),
            message(70_000, &invite(4), "nobody answers", "INVITE"),
        ];
        let asked = |at_ms: u64, person: u32, what| Asked {
            at_us: at_ms * 1000 + HALF_US,
            phone: format!("7916400{person:04}"),
            what,
        };
        let journal = [
            asked(5, 1, What::Request),
            asked(12, 1, What::Request),
            asked(10, 2, What::Request),
            asked(20, 2, What::Acceptance),
            asked(38, 1, What::Acceptance),
            asked(71, 4, What::Request),
            asked(90, 3, What::Request),
            asked(95, 3, What::Acceptance),
        ];
        let callee = "127.0.0.1:5060".parse().unwrap();
        let found = Crossings::of(&SetUps::of(&passed, callee).answered, &journal);
        // What is noted in the millisecond of the INVITE or of the 200 is of that call, too.
        assert_eq!(found.invite_to_request_us, [0, 2_500]);
        assert_eq!(found.acceptance_to_200_us, [0, 1_500]);
        assert_eq!(Crossings::of(&[], &journal), Crossings::default());
    }
}
