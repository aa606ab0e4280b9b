//! Signaling messages as the peer's JSON, one after the other with a zero byte between.

use tgcall::negotiation::{LocalSetup, Negotiation};
use tgcall::signaling::{CustomParameters, Message};

/// Takes the documents as both ends of a call; what can be read must survive being written.
pub fn take(bytes: &[u8]) {
    let mut ends = [true, false].map(|is_caller| {
        let local = LocalSetup {
            ufrag: "ours".to_owned(),
            pwd: "a password of ours, long".to_owned(),
            fingerprint: ["AB"; 32].join(":"),
        };
        let mut end = Negotiation::new(is_caller, 77, local, 7);
        end.add_local_candidate("candidate:1 1 udp 2130706431 10.0.0.1 4000 typ host generation 0");
        end.start();
        end
    });
    for document in bytes.split(|&byte| byte == 0) {
        if let Ok(text) = std::str::from_utf8(document) {
            let _ = CustomParameters::parse(text);
        }
        let Ok(message) = Message::parse(document) else { continue };
        assert_eq!(Message::parse(&message.to_json()).unwrap(), message, "what we write we can read");
        for end in &mut ends {
            end.handle(message.clone());
            let actions = std::iter::from_fn(|| end.poll_action()).count();
            assert!(actions < 1000, "{actions} actions for one message");
        }
    }
}
