//! Sections of a few figures each.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Connected lines without calls, which ask their PBXs for OPTIONS and ping Telegram as installed ones do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    pub lines: usize,
    pub seconds: f64,
    /// 0 to 1.
    pub cpu_share_of_a_core: f64,
    pub switches_per_second: f64,
    pub resident_kb: u64,
}

/// What the whole process takes from the heap in steady state: packets, and what keeps each path alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocations {
    pub calls: usize,
    pub per_packet: f64,
    pub per_second: f64,
}

/// The sections of the page.
pub(super) fn html(idle: Option<&Idle>, allocations: &[Allocations]) -> String {
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
    if !allocations.is_empty() {
        html += "<h2>Heap allocations</h2><table><tr><th>calls</th><th>for each packet</th><th>a second</th></tr>";
        for row in allocations {
            let (calls, packet, second) = (row.calls, row.per_packet, row.per_second);
            write!(html, "<tr><td>{calls}</td><td>{packet:.5}</td><td>{second:.1}</td></tr>").ok();
        }
        html += "</table>";
    }
    html
}
