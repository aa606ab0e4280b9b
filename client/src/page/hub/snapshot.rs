//! The state of the whole installation at one moment, as the page has it.

use std::collections::BTreeMap;

use tgtrunk_config::control::{
    Answer, BotReport, CallInfo, CallState, ClientReport, LoginInfo, StatusReport,
};
use tgtrunk_config::{
    BotName, BotStatus, CallId, ClientStatus, GatewayStatus, Lamp, Light, Line, Lines as LineFiles, Phone,
    Said,
};

use crate::page::model::{LineCard, Part};

/// All that is known.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The lines by their files: settings, or why they cannot be read.
    pub(crate) lines: BTreeMap<Phone, Result<Box<Line>, Said>>,
    /// Folders whose names are no numbers, and what is wrong with them.
    pub(crate) strays: Vec<Said>,
    /// What the gateway says of its lines. What it said last, while it does not run.
    pub(crate) gateway: BTreeMap<Phone, GatewayStatus>,
    /// The calls that are up.
    pub(crate) calls: BTreeMap<CallId, CallInfo>,
    /// What the client says of its lines.
    pub(crate) client: BTreeMap<Phone, ClientStatus>,
    /// What the bot says of its bots.
    pub(crate) bot: BTreeMap<BotName, BotStatus>,
    /// How far logins are, as far as anybody has asked or heard.
    pub(crate) logins: BTreeMap<(Part, Phone), LoginInfo>,
    /// Calls that ended since the page began, so that records are read again.
    pub(crate) ended: u64,
    /// Where the PBX reaches each line, as the gateway says.
    addresses: BTreeMap<Phone, String>,
    sides: BTreeMap<Part, Side>,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    /// Whether it runs.
    pub(crate) is_up: bool,
    /// Since when it does, or does not, in milliseconds since 1970 (UTC).
    pub(crate) since_ms: u64,
    /// What is wrong with what does not run there.
    pub(crate) problems: Vec<Said>,
}

impl Snapshot {
    pub(super) fn new(now_ms: u64) -> Self {
        let side = Side { since_ms: now_ms, ..Side::default() };
        Self {
            lines: BTreeMap::new(),
            strays: Vec::new(),
            gateway: BTreeMap::new(),
            calls: BTreeMap::new(),
            client: BTreeMap::new(),
            bot: BTreeMap::new(),
            logins: BTreeMap::new(),
            ended: 0,
            addresses: BTreeMap::new(),
            sides: Part::ALL.into_iter().map(|part| (part, side.clone())).collect(),
        }
    }

    /// One program.
    pub(crate) fn side(&self, part: Part) -> &Side {
        static NONE: Side = Side { is_up: false, since_ms: 0, problems: Vec::new() };
        self.sides.get(&part).unwrap_or(&NONE)
    }

    /// What the programs say is wrong.
    pub(crate) fn all_problems(&self) -> impl Iterator<Item = &Said> {
        self.sides.values().flat_map(|side| &side.problems)
    }

    /// The numbers that have a line or its file, in the order of their SIP ports.
    pub(crate) fn phones(&self) -> Vec<Phone> {
        let mut phones: Vec<(u16, &Phone)> = self
            .lines
            .iter()
            .map(|(phone, line)| (line.as_ref().map_or(u16::MAX, |line| line.sip_port), phone))
            .collect();
        phones.sort();
        phones.into_iter().map(|(_, phone)| phone.clone()).collect()
    }

    /// Whether any line has a bot.
    pub(crate) fn has_bots(&self) -> bool {
        self.lines.values().flatten().any(|line| line.chat.bot.is_some())
    }

    /// What the gateway says of a line; waiting where it says nothing.
    pub(crate) fn gateway_of(&self, phone: &Phone) -> GatewayStatus {
        let side = self.side(Part::Gateway);
        let told = self.gateway.get(phone);
        match told {
            Some(status) if side.is_up => status.clone(),
            _ => {
                let mut waiting = GatewayStatus::waiting(phone.clone(), 0, side.since_ms);
                self.switched(phone, [&mut waiting.telegram, &mut waiting.sip], side.since_ms);
                GatewayStatus {
                    account: told.and_then(|told| told.account),
                    strangers: told.and_then(|told| told.strangers),
                    ..waiting
                }
            }
        }
    }

    /// What the client says of a line; waiting where it says nothing.
    pub(crate) fn client_of(&self, phone: &Phone) -> ClientStatus {
        let side = self.side(Part::Client);
        match self.client.get(phone) {
            // What a line said last while it was switched off is of no interest.
            Some(status) if side.is_up && (status.telegram.lamp == Lamp::Green || !self.is_off(phone)) => {
                status.clone()
            }
            _ => {
                let mut waiting = ClientStatus::waiting(phone.clone(), 0, side.since_ms);
                self.switched(phone, [&mut waiting.telegram, &mut waiting.keypad], side.since_ms);
                waiting
            }
        }
    }

    /// What the bot says of one of its bots; waiting where it says nothing.
    pub(crate) fn bot_of(&self, bot: &BotName) -> BotStatus {
        let side = self.side(Part::Bot);
        let told = self.bot.get(bot);
        match told {
            Some(status) if side.is_up => status.clone(),
            _ => {
                let mut waiting = BotStatus::waiting(bot.clone(), 0, side.since_ms);
                waiting.id = told.and_then(|told| told.id);
                waiting.name = told.and_then(|told| told.name.clone());
                waiting
            }
        }
    }

    /// One line with all that is shown of it. None for a number that nobody knows.
    pub(crate) fn card(&self, phone: &Phone) -> Option<LineCard> {
        let file = self.lines.get(phone)?;
        let line = file.as_ref().ok();
        let bot_name = line.and_then(|line| line.chat.bot.clone());
        let mut calls: Vec<CallInfo> = if self.side(Part::Gateway).is_up {
            self.calls.values().filter(|call| call.line == *phone).cloned().collect()
        } else {
            Vec::new()
        };
        calls.sort_by_key(|call| call.started_ms);
        Some(LineCard {
            phone: phone.clone(),
            name: line
                .map(|line| line.chat.company.clone())
                .filter(|name| name != phone.as_str())
                .unwrap_or_default(),
            enabled: line.is_none_or(|line| line.enabled),
            sip: line.map_or_else(String::new, |line| self.sip(line)),
            pbx: line.map_or_else(String::new, |line| line.pbx.to_string()),
            gateway: self.gateway_of(phone),
            client: self.client_of(phone),
            bot: bot_name.as_ref().map(|bot| self.bot_of(bot)),
            bot_name,
            calls,
            problem: file.as_ref().err().cloned(),
        })
    }

    fn sip(&self, line: &Line) -> String {
        self.addresses.get(&line.phone).cloned().unwrap_or_else(|| format!("127.0.0.1:{}", line.sip_port))
    }
}

impl Snapshot {
    fn is_off(&self, phone: &Phone) -> bool {
        self.lines.get(phone).and_then(|line| line.as_ref().ok()).is_some_and(|line| !line.enabled)
    }

    /// A line that its owner switched off stays so, whoever runs.
    fn switched(&self, phone: &Phone, lights: [&mut Light; 2], since_ms: u64) {
        if self.is_off(phone) {
            for light in lights {
                *light = Light::new(Lamp::Off, Said::new("switched off", "отключено"), since_ms);
            }
        }
    }

    pub(super) fn gateway_up(&mut self, calls: Vec<CallInfo>, status: StatusReport, now_ms: u64) {
        self.up(Part::Gateway, status.problems, now_ms);
        self.calls = calls.into_iter().map(|call| (call.call, call)).collect();
        self.addresses =
            status.lines.iter().map(|line| (line.status.line.clone(), line.sip.clone())).collect();
        let lines = status.lines.into_iter().map(|line| (line.status.line.clone(), line.status));
        self.gateway = lines.collect();
    }

    /// Takes what is told of a call; how it sounded stays where that is not told again.
    pub(super) fn call(&mut self, mut call: CallInfo) {
        if call.state == CallState::Ended {
            self.calls.remove(&call.call);
            self.ended += 1;
            return;
        }
        let before = self.calls.remove(&call.call);
        call.quality = call.quality.or_else(|| before.and_then(|before| before.quality));
        self.calls.insert(call.call, call);
    }

    /// Whether anybody talks.
    pub(super) fn has_talk(&self) -> bool {
        self.calls.values().any(|call| call.state == CallState::Answered)
    }

    /// Takes how calls sound that are still up; true if any sounds another way than before.
    pub(super) fn sounds(&mut self, calls: Vec<CallInfo>) -> bool {
        let mut is_other = false;
        for CallInfo { call, quality, .. } in calls {
            if let Some(known) = self.calls.get_mut(&call)
                && known.quality != quality
            {
                known.quality = quality;
                is_other = true;
            }
        }
        is_other
    }

    pub(super) fn client_up(&mut self, report: ClientReport, now_ms: u64) {
        self.up(Part::Client, report.problems, now_ms);
        self.client = report.lines.into_iter().map(|status| (status.line.clone(), status)).collect();
    }

    pub(super) fn bot_up(&mut self, report: BotReport, now_ms: u64) {
        self.up(Part::Bot, report.problems, now_ms);
        self.bot = report.bots.into_iter().map(|status| (status.bot.clone(), status)).collect();
    }

    pub(super) fn gone(&mut self, part: Part, now_ms: u64) {
        let side = self.sides.entry(part).or_default();
        if std::mem::replace(&mut side.is_up, false) {
            side.since_ms = now_ms;
        }
        side.problems.clear();
        self.logins.retain(|(whose, _), _| *whose != part);
        if part == Part::Gateway {
            self.calls.clear();
        }
    }

    /// Takes the problems and addresses of a status that was asked for; true if they are others than before.
    pub(super) fn problems(&mut self, part: Part, answer: &Answer) -> bool {
        let problems = match answer {
            Answer::Status(report) => {
                let told = report.lines.iter().map(|line| (line.status.line.clone(), line.sip.clone()));
                self.addresses.extend(told);
                &report.problems
            }
            Answer::Clients(report) => &report.problems,
            Answer::Bots(report) => &report.problems,
            _ => return false,
        };
        let side = self.sides.entry(part).or_default();
        let is_other = side.problems != *problems;
        if is_other {
            side.problems.clone_from(problems);
        }
        is_other
    }

    pub(super) fn login(&mut self, part: Part, info: LoginInfo) -> bool {
        let before = self.logins.insert((part, info.line.clone()), info.clone());
        before.as_ref() != Some(&info)
    }

    /// Takes the lines' own files; true if they are others than before.
    pub(super) fn files(&mut self, files: LineFiles) -> bool {
        let mut lines: BTreeMap<Phone, Result<Box<Line>, Said>> =
            files.lines.into_iter().map(|line| (line.phone.clone(), Ok(Box::new(line)))).collect();
        let mut strays = Vec::new();
        for problem in files.problems {
            match problem.folder.parse() {
                Ok(phone) => drop(lines.insert(phone, Err(Said::from(&problem)))),
                Err(_) => strays.push(Said::from(&problem)),
            }
        }
        let is_other = (&lines, &strays) != (&self.lines, &self.strays);
        (self.lines, self.strays) = (lines, strays);
        is_other
    }

    fn up(&mut self, part: Part, problems: Vec<Said>, now_ms: u64) {
        let side = self.sides.entry(part).or_default();
        if !std::mem::replace(&mut side.is_up, true) {
            side.since_ms = now_ms;
        }
        side.problems = problems;
    }
}
