//! What calls leave behind.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::load::statistics::line;

/// Waves of calls beside others that talk all the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Soak {
    pub talking: usize,
    /// Those that came and went.
    pub calls: u64,
    pub failed: u64,
    /// Packets of those that talk meanwhile, and those that did not come out.
    #[serde(default)]
    pub packets: u64,
    #[serde(default)]
    pub lost: u64,
    /// Before the first wave and after each.
    pub samples: Vec<SoakSample>,
}

/// Of the gateway, while nothing but the talking calls is there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoakSample {
    pub seconds: f64,
    /// Those that came and went until then.
    pub calls: u64,
    pub resident_kb: u64,
    pub descriptors: usize,
    pub threads: usize,
}

impl Soak {
    /// How much more is resident for each 1,000 calls that came and went, in kB; `None` of a single sample.
    pub fn kb_per_1000_calls(&self) -> Option<f64> {
        let points: Vec<_> = self
            .samples
            .iter()
            .map(|sample| (sample.calls as f64 / 1000.0, sample.resident_kb as f64))
            .collect();
        line(&points).map(|(_, slope)| slope)
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { talking, calls, failed, packets, lost, samples } = self;
        write!(
            f,
            "{calls} calls came and went beside {talking} that talk, {failed} of them failed and {lost} of {packets} packets were lost"
        )?;
        if let (Some(first), Some(last), Some(slope)) =
            (samples.first(), samples.last(), self.kb_per_1000_calls())
        {
            write!(
                f,
                ": {} kB resident before and {} after ({slope:+.0} for 1,000 calls), {} descriptors and {}, {} threads and {}",
                first.resident_kb,
                last.resident_kb,
                first.descriptors,
                last.descriptors,
                first.threads,
                last.threads
            )?;
        }
        Ok(())
    }
}

/// The section of the page.
pub(super) fn html(soak: &Soak) -> String {
    format!("<h2>Calls that come and go</h2><p>{soak}.</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_leave_behind_is_told_for_a_thousand() {
        let sample =
            |calls, resident_kb| SoakSample { seconds: 1.0, calls, resident_kb, descriptors: 9, threads: 4 };
        let soak =
            Soak { samples: vec![sample(0, 1000), sample(500, 1010), sample(1000, 1020)], ..Soak::default() };
        assert!((soak.kb_per_1000_calls().unwrap() - 20.0).abs() < 1e-6);
        assert_eq!(Soak::default().kb_per_1000_calls(), None);
        assert!(html(&soak).contains("0 of 0 packets were lost"));
        assert!(html(&soak).contains("1000 kB resident before and 1020 after (+20 for 1,000 calls)"));
    }
}
