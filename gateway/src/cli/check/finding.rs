//! What a look found: one thing, how it is, and the remedy where it is not well.

use serde_json::json;
use tgtrunk_config::{Language, Said};
use tgtrunk_shell::keyboard::say;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It may be meant so, or only something smaller does not work.
    Warning,
    /// Calls do not work before it is mended.
    Fault,
}

/// All that was found, in the order of looking.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    topic: Said,
    said: Said,
}

impl Findings {
    pub(crate) fn well(&mut self, topic: Said, said: impl Into<Said>) {
        self.note(Verdict::Ok, topic, said);
    }

    pub(crate) fn warning(&mut self, topic: Said, said: impl Into<Said>) {
        self.note(Verdict::Warning, topic, said);
    }

    pub(crate) fn fault(&mut self, topic: Said, said: impl Into<Said>) {
        self.note(Verdict::Fault, topic, said);
    }

    pub(crate) fn note(&mut self, verdict: Verdict, topic: Said, said: impl Into<Said>) {
        self.0.push(Finding { verdict, topic, said: said.into() });
    }

    /// The worst of all.
    pub(crate) fn worst(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// `[{"verdict":"ok","topic":{"en":…,"ru":…},"said":{…}}]`.
    pub(crate) fn json(&self) -> String {
        let each = |finding: &Finding| json!({"verdict": finding.verdict.word(), "topic": finding.topic, "said": finding.said});
        format!("{:#}", json!(self.0.iter().map(each).collect::<Vec<_>>()))
    }

    /// Prints a line for each, and how it is on the whole.
    pub(crate) fn print(&self, language: Language) {
        for line in self.lines(language) {
            say(&line);
        }
    }

    fn lines(&self, language: Language) -> Vec<String> {
        let topics = self.0.iter().map(|finding| finding.topic.in_language(language));
        let width = topics.clone().map(|topic| topic.chars().count()).max().unwrap_or_default();
        let verdict_width = match language {
            Language::Russian => 8,
            Language::English => 7,
        };
        let line = |finding: &Finding| {
            let Finding { verdict, topic, said } = finding;
            let (verdict, topic) = (verdict.said(), topic.in_language(language));
            let said = said.in_language(language).replace('\n', "\n  ");
            format!("{:verdict_width$}  {topic:width$}  {said}", verdict.in_language(language))
        };
        let mut lines: Vec<String> = self.0.iter().map(line).collect();
        let whole = match self.worst() {
            Verdict::Ok => Said::new("all is well", "всё в порядке"),
            Verdict::Warning => Said::new("calls work; see the warnings", "звонки работают; есть замечания"),
            Verdict::Fault => Said::new("not all is well", "не всё в порядке"),
        };
        lines.push(whole.in_language(language).to_owned());
        lines
    }
}

impl Verdict {
    /// For programs.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }

    /// For people.
    fn said(self) -> Said {
        match self {
            Self::Ok => Said::new("ok", "хорошо"),
            Self::Warning => Said::new("warning", "внимание"),
            Self::Fault => Said::new("fault", "ошибка"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_in_the_readers_language_and_the_worst_sums_up() {
        let mut found = Findings::default();
        assert_eq!(
            (found.worst(), found.lines(Language::English)),
            (Verdict::Ok, vec!["all is well".to_owned()])
        );
        found.well(Said::new("disk", "диск"), Said::new("fine", "хватает"));
        found.fault(Said::new("clock", "часы"), Said::new("late", "отстают"));
        assert_eq!(
            found.lines(Language::English),
            ["ok       disk   fine", "fault    clock  late", "not all is well"]
        );
        assert_eq!(
            found.lines(Language::Russian),
            ["хорошо    диск  хватает", "ошибка    часы  отстают", "не всё в порядке"]
        );
        assert_eq!(found.worst(), Verdict::Fault);
        let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
        assert_eq!(json[1]["verdict"], "fault");
        assert_eq!(json[1]["said"]["ru"], "отстают");
    }
}
