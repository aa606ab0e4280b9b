//! A request as the line that asks for it.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::{Ask, Request};

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("do", self.ask.word())?;
        match &self.ask {
            Ask::Status | Ask::Calls | Ask::Subscribe | Ask::Reload | Ask::Instances | Ask::ActionTokens => {}
            Ask::HangUp { call } | Ask::WatchLevels { call } => map.serialize_entry("call", call)?,
            Ask::Record { call, on } => {
                map.serialize_entry("call", call)?;
                map.serialize_entry("on", on)?;
            }
            Ask::Login { line }
            | Ask::ResendCode { line }
            | Ask::CancelLogin { line }
            | Ask::LogOut { line }
            | Ask::ResetLine { line }
            | Ask::RestartLine { line }
            | Ask::Checks { line }
            | Ask::RenewToken { line } => map.serialize_entry("line", line)?,
            Ask::StartLogin { line, method } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("method", method)?;
            }
            Ask::EnterCode { line, code } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("code", code)?;
            }
            Ask::EnterPassword { line, password } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("password", password)?;
            }
            Ask::FixCheck { line, check } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("check", check)?;
            }
            Ask::Records { filter } => map.serialize_entry("filter", filter)?,
            Ask::Log { after, wait_ms } => {
                map.serialize_entry("after", after)?;
                map.serialize_entry("wait_ms", wait_ms)?;
            }
            Ask::CheckBot { token } | Ask::AddBot { token } => map.serialize_entry("token", token)?,
            Ask::RemoveBot { bot }
            | Ask::People { bot }
            | Ask::BringUpdates { bot }
            | Ask::ApiTokens { bot } => map.serialize_entry("bot", bot)?,
            Ask::MakeApiToken { bot, label } => {
                map.serialize_entry("bot", bot)?;
                map.serialize_entry("label", label)?;
            }
            Ask::SkipUpdate { bot, number } | Ask::RevokeApiToken { bot, number } => {
                map.serialize_entry("bot", bot)?;
                map.serialize_entry("number", number)?;
            }
            Ask::WriteTo { bot, person, text, key } => {
                map.serialize_entry("bot", bot)?;
                map.serialize_entry("person", person)?;
                map.serialize_entry("text", text)?;
                map.serialize_entry("key", key)?;
            }
            Ask::BotMessages { bot, asked } => {
                map.serialize_entry("bot", bot)?;
                map.serialize_entry("asked", asked)?;
            }
            Ask::MakeActionToken { line, label } => {
                if let Some(line) = line {
                    map.serialize_entry("line", line)?;
                }
                map.serialize_entry("label", label)?;
            }
            Ask::RevokeActionToken { number } => map.serialize_entry("number", number)?,
            Ask::SendDigits { call, digits, tone_ms, pause_ms, key } => {
                map.serialize_entry("call", call)?;
                map.serialize_entry("digits", digits)?;
                for (name, length_ms) in [("tone_ms", tone_ms), ("pause_ms", pause_ms)] {
                    if let Some(length_ms) = length_ms {
                        map.serialize_entry(name, length_ms)?;
                    }
                }
                if let Some(key) = key {
                    map.serialize_entry("key", key)?;
                }
            }
            Ask::AddLine { line } => map.serialize_entry("line", line)?,
            Ask::RemoveLine { phone, keep_state } => {
                map.serialize_entry("phone", phone)?;
                map.serialize_entry("keep_state", keep_state)?;
            }
            Ask::JoinCall { line, extension, person, key } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("extension", extension)?;
                map.serialize_entry("person", person)?;
                if let Some(key) = key {
                    map.serialize_entry("key", key)?;
                }
            }
            Ask::AcceptLogin { line, token } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("token", token)?;
            }
            Ask::ExportLogin { line, password } => {
                map.serialize_entry("line", line)?;
                if let Some(password) = password {
                    map.serialize_entry("password", password)?;
                }
            }
        }
        map.end()
    }
}
