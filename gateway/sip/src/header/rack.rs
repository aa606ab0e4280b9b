//! RSeq and RAck: which reliable provisional answer is meant (RFC 3262 sections 7.1 and 7.2).

use super::CSeq;
use crate::message::Method;

/// A RAck value: the RSeq of the answer, and the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RAck {
    pub(crate) rseq: u32,
    pub(crate) cseq: u32,
    pub(crate) method: Method,
}

impl RAck {
    /// `None` when it is not two numbers and a method.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rseq, request) = text.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        let CSeq { number, method } = CSeq::parse(request)?;
        Some(Self { rseq: parse_rseq(rseq)?, cseq: number, method })
    }
}

/// Reads RSeq: 1 to 2^32 - 1.
pub(crate) fn parse_rseq(text: &str) -> Option<u32> {
    let digits = text.trim();
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|&number| numeric && number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_and_a_method() {
        assert_eq!(
            RAck::parse(" 776656 \t 1  INVITE"),
            Some(RAck { rseq: 776_656, cseq: 1, method: Method::Invite })
        );
        assert_eq!(
            (parse_rseq(" 4294967295 "), parse_rseq("0"), parse_rseq("+1")),
            (Some(u32::MAX), None, None)
        );
        for wrong in ["", "1", "1 INVITE", "1 2", "x 1 INVITE", "1 4294967295 INVITE", "4294967296 1 INVITE"]
        {
            assert_eq!(RAck::parse(wrong), None, "{wrong}");
        }
    }
}
