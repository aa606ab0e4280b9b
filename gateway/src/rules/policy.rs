//! A line's rules in the bridge's words, and the people whom they are asked about.

use chrono::NaiveDate;
use tgtrunk_bridge::policy::{
    AccessList, Answer, Glob, Holiday, Owner, Pattern, Policy, Rate, Rewrites, Span, Spans,
};
use tgtrunk_config as config;

/// The rules of a line.
pub(crate) fn policy(line: &config::Line) -> Policy {
    let config::Line { from_telegram: from, to_telegram: to, hours, .. } = line;
    Policy {
        callers: list(&from.allow, &from.deny),
        refused: answer(&from.refused),
        from_telegram: Rate::new(from.calls_per_minute),
        callees: list(&to.allow, &to.deny),
        to_telegram: Rate::new(to.calls_per_minute),
        to_telegram_hourly: Rate::hourly(to.calls_per_hour),
        owner: match line.owner {
            config::Owner::Nothing => Owner::Nothing,
            config::Owner::First(wait) => Owner::First(wait),
            config::Owner::ContactsFirst(wait) => Owner::ContactsFirst(wait),
            config::Owner::Contacts => Owner::Contacts,
            config::Owner::Everything => Owner::Everything,
        },
        work: Spans::new(spans(&hours.work), hours.holidays.iter().filter_map(holiday).collect()),
        outside: hours.outside.as_ref().map(answer),
        quiet: Spans::new(spans(&hours.quiet), Vec::new()),
    }
}

/// How a line writes anew what is dialled.
pub(crate) fn rewrites(line: &config::Line) -> Rewrites {
    let rules = line.dial.rewrite.iter().map(|rule| (rule.pattern.as_str(), rule.to.as_str()));
    // The settings were checked by the same expressions.
    Rewrites::new(rules).unwrap_or_else(|error| {
        tracing::error!(%error, "what is dialled is not rewritten");
        Rewrites::default()
    })
}

/// Whether the line has to know who the account's contacts are.
pub(crate) fn asks_for_contacts(line: &config::Line) -> bool {
    use config::PersonPattern::{Contacts, Strangers};
    let lists = [&line.to_telegram.allow, &line.to_telegram.deny];
    lists.into_iter().flatten().any(|pattern| matches!(pattern, Contacts | Strangers))
}

fn list(allow: &[config::PersonPattern], deny: &[config::PersonPattern]) -> AccessList {
    let patterns = |list: &[config::PersonPattern]| list.iter().map(pattern).collect();
    AccessList { allow: patterns(allow), deny: patterns(deny) }
}

fn pattern(pattern: &config::PersonPattern) -> Pattern {
    match pattern {
        config::PersonPattern::Number(text) => Pattern::Number(Glob::new(text)),
        config::PersonPattern::Username(text) => Pattern::Username(Glob::new(text)),
        config::PersonPattern::Id(id) => Pattern::Id(*id),
        config::PersonPattern::Name(text) => Pattern::Name(Glob::new(text)),
        config::PersonPattern::Contacts => Pattern::Contacts,
        config::PersonPattern::Strangers => Pattern::Strangers,
        config::PersonPattern::Anonymous => Pattern::Anonymous,
    }
}

fn answer(refused: &config::Refused) -> Answer {
    match refused {
        config::Refused::Busy => Answer::Busy,
        config::Refused::Decline => Answer::Decline,
        config::Refused::Ignore => Answer::Ignore,
        config::Refused::Extension(user) => Answer::Extension(user.clone()),
    }
}

fn spans(spans: &[config::WeekSpan]) -> Vec<Span> {
    spans.iter().filter_map(|span| Span::new(span.days, span.from_min, span.to_min)).collect()
}

fn holiday(holiday: &config::Holiday) -> Option<Holiday> {
    let config::Holiday { year, month, day } = *holiday;
    match year {
        Some(year) => NaiveDate::from_ymd_opt(year, month, day).map(Holiday::Once),
        None => Some(Holiday::Yearly { month, day }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rule_of_a_line_reaches_the_bridge() {
        let rules = line(
            "[from_telegram]\nallow = [\"+7495*\", \"contacts\"]\ndeny = [\"name:*spam*\"]\nrefused = \"extension\"\n\
             refused_extension = \"100\"\n[to_telegram]\ndeny = [\"strangers\"]\n[owner]\ntakes = \"contacts\"\n[hours]\n\
             work = [\"mon 09:00-18:00\"]\nholidays = [\"01-01\", \"2026-12-31\"]\noutside = \"ignore\"\nquiet = [\"daily 22:00-08:00\"]\n",
        );
        let policy = policy(&rules);
        assert_eq!((policy.callers.allow.len(), policy.callers.deny.len()), (2, 1));
        assert_eq!(policy.refused, Answer::Extension("100".into()));
        assert_eq!(policy.callees.deny, [Pattern::Strangers]);
        assert_eq!((policy.owner, policy.outside), (Owner::Contacts, Some(Answer::Ignore)));
        let monday = Span::new([true, false, false, false, false, false, false], 540, 1_080).unwrap();
        let feast = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        let days = vec![Holiday::Yearly { month: 1, day: 1 }, Holiday::Once(feast)];
        assert_eq!(policy.work, Spans::new(vec![monday], days));
        assert_eq!(policy.quiet, Spans::new(vec![Span::new([true; 7], 1_320, 480).unwrap()], vec![]));
        assert!(asks_for_contacts(&rules) && !asks_for_contacts(&line("")));
    }

    fn line(more: &str) -> config::Line {
        let text = format!("phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n{more}");
        config::Line::parse(&text, Path::new("l"), "+79060000000", &BTreeMap::new()).unwrap()
    }
}
