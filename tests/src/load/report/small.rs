//! Sections of a few figures each.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Connected lines without calls. Each asks its PBX for OPTIONS every 5 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    pub lines: usize,
    pub seconds: f64,
    /// 0 to 1.
    pub cpu_share_of_a_core: f64,
    pub switches_per_second: f64,
    pub resident_kb: u64,
}

/// The sections of the page.
pub(super) fn html(idle: Option<&Idle>) -> String {
    let mut html = String::new();
    if let Some(idle) = idle {
        write!(
            html,
            "<h2>Without calls</h2><p>{} connected lines: {:.3} % of a core, {:.1} context switches a second, {} kB resident.</p>",
            idle.lines,
            idle.cpu_share_of_a_core * 100.0,
            idle.switches_per_second,
            idle.resident_kb
        )
        .ok();
    }
    html
}
