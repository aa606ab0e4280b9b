//! What the client's own HTTP API can do, in the order in which people read it.

mod calls;
mod notifications;

use tgtrunk_messages::openapi::{self, Api};

/// The client's: actions of a line's account, notifications of people, calls.
pub(super) const API: Api = Api {
    about: "Actions of a line's account, notifications of people, calls. See client/API.md.",
    maker: "tgtrunk-client action-token make",
    routes: &[openapi::ACTIONS, notifications::ROUTES, calls::ROUTES],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_is_in_both_languages_and_no_name_is_there_twice() {
        let mut names = BTreeSet::new();
        for route in API.routes() {
            assert!(names.insert(route.name), "{}", route.name);
            assert!(
                !route.en.is_empty() && route.ru.chars().any(|letter| ('а'..='я').contains(&letter)),
                "{}",
                route.name
            );
            for field in route.query.iter().chain(route.body) {
                assert!(!field.en.is_empty() && !field.ru.is_empty(), "{} {}", route.name, field.name);
            }
        }
    }
}
