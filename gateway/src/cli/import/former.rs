//! What another program had, in our words.

use tgtrunk_config::{BotToken, Language, Phone, Said};

/// All that was found there.
#[derive(Debug, Default)]
pub(super) struct Former {
    pub(super) application: Option<Application>,
    /// As `socks5://user:password@host:1080`.
    pub(super) proxy: Option<String>,
    pub(super) lines: Vec<FormerLine>,
    /// What cannot be taken over.
    pub(super) left: Vec<Said>,
}

/// Who it was to Telegram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Application {
    pub(super) api_id: i32,
    pub(super) api_hash: String,
}

/// One number.
#[derive(Debug)]
pub(super) struct FormerLine {
    pub(super) phone: Phone,
    pub(super) enabled: bool,
    /// None for the next free one.
    pub(super) sip_port: Option<u16>,
    pub(super) pbx: String,
    pub(super) token: Option<BotToken>,
    /// A queue or extension that rings first when somebody wants to be called back; empty for none.
    pub(super) call_back: String,
    /// Texts that are not empty, by our names for them.
    pub(super) texts: Vec<(&'static str, String)>,
}

impl FormerLine {
    /// A number, with everything else as it is for a new one.
    pub(super) fn new(phone: Phone, pbx: String) -> Self {
        Self {
            phone,
            enabled: true,
            sip_port: None,
            pbx,
            token: None,
            call_back: String::new(),
            texts: Vec::new(),
        }
    }

    /// The language of its texts.
    pub(super) fn language(&self) -> Language {
        let is_cyrillic = |c: char| ('\u{400}'..='\u{4ff}').contains(&c);
        let russian = self.texts.iter().any(|(_, text)| text.contains(is_cyrillic));
        if russian { Language::Russian } else { Language::English }
    }
}

impl Former {
    /// What will be done, a sentence each, and what will not.
    pub(super) fn plan(&self) -> Vec<Said> {
        let mut plan = Vec::new();
        if let Some(Application { api_id, .. }) = &self.application {
            plan.push(Said::new(
                format!("api_id {api_id} and its api_hash go into the settings"),
                format!("api_id {api_id} и его api_hash записываются в настройки"),
            ));
        }
        if self.proxy.is_some() {
            plan.push(Said::new("the proxy goes into the settings", "прокси записывается в настройки"));
        }
        for line in &self.lines {
            let (phone, pbx) = (&line.phone, &line.pbx);
            let port = line.sip_port.map_or("-".to_owned(), |port| port.to_string());
            let texts: Vec<&str> = line.texts.iter().map(|(name, _)| *name).collect();
            let texts = if texts.is_empty() { "-".to_owned() } else { texts.join(", ") };
            let bot = if line.token.is_some() { "+" } else { "-" };
            plan.push(Said::new(
                format!(
                    "line {phone}: port {port}, PBX {pbx}, own texts {texts}, bot {bot}; it needs a login"
                ),
                format!("линия {phone}: порт {port}, АТС {pbx}, свои тексты {texts}, бот {bot}; нужен вход"),
            ));
        }
        plan.extend(self.left.iter().cloned());
        plan
    }
}
