//! What a peer says about the Opus it wants, in `a=fmtp` (RFC 7587 section 6.1).

/// The parameters of one description; what it leaves out or gets wrong is `None` or `false`, as the RFC has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Sound above half of this rate is lost on the peer, 8000 to 48000.
    pub maxplaybackrate_hz: Option<u32>,
    /// The peer wants no more bits per second than this, 6000 to 510000.
    pub maxaveragebitrate_bps: Option<u32>,
    /// No packet should be shorter, in milliseconds, 3 to 120.
    pub minptime_ms: Option<u32>,
    /// How much sound a packet should hold, in milliseconds, 3 to 120. It belongs into a line of its own, but some put it here.
    pub ptime_ms: Option<u32>,
    /// No packet may be longer, in milliseconds, 3 to 120; the same holds for its place.
    pub maxptime_ms: Option<u32>,
    /// The peer likes two channels.
    pub stereo: bool,
    /// The peer wants a constant bit rate.
    pub cbr: bool,
    /// The peer makes use of in-band FEC.
    pub useinbandfec: bool,
    /// The peer likes silence not to be sent.
    pub usedtx: bool,
}

impl Parameters {
    /// Reads the text of `a=fmtp` behind the payload type; what is unknown or malformed in it is passed over.
    pub fn parse(fmtp: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in fmtp.split(';').filter_map(|one| one.split_once('=')) {
            let value = value.trim();
            let within = |least: u32, most: u32| value.parse().ok().filter(|n| (least..=most).contains(n));
            match name.trim().to_ascii_lowercase().as_str() {
                "maxplaybackrate" => parameters.maxplaybackrate_hz = within(8_000, 48_000),
                "maxaveragebitrate" => parameters.maxaveragebitrate_bps = within(6_000, 510_000),
                "minptime" => parameters.minptime_ms = within(3, 120),
                "ptime" => parameters.ptime_ms = within(3, 120),
                "maxptime" => parameters.maxptime_ms = within(3, 120),
                "stereo" => parameters.stereo = value == "1",
                "cbr" => parameters.cbr = value == "1",
                "useinbandfec" => parameters.useinbandfec = value == "1",
                "usedtx" => parameters.usedtx = value == "1",
                _ => {}
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::OPUS;

    #[test]
    fn the_examples_of_rfc_7587_are_read() {
        // Section 7.1.
        assert_eq!(
            Parameters::parse(
                "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0"
            ),
            Parameters {
                maxplaybackrate_hz: Some(16_000),
                maxaveragebitrate_bps: Some(20_000),
                stereo: true,
                useinbandfec: true,
                ..Parameters::default()
            }
        );
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(Parameters::parse(""), Parameters::default());
        assert_eq!(Parameters::parse(";;=; ;x"), Parameters::default());
    }

    #[test]
    fn spelling_and_space_do_not_matter_and_nonsense_does_not_hurt() {
        let read = Parameters::parse(
            " USEDTX = 1 ;maxptime=60;ptime= 20;minptime=10;cbr=1;stereo=yes;maxplaybackrate=7;maxaveragebitrate=99999999999;x=y",
        );
        let expected = Parameters {
            minptime_ms: Some(10),
            ptime_ms: Some(20),
            maxptime_ms: Some(60),
            cbr: true,
            usedtx: true,
            ..Parameters::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn our_own_row_says_what_it_means() {
        let ours = Parameters::parse(OPUS.fmtp);
        assert_eq!((ours.useinbandfec, ours.minptime_ms), (true, Some(10)));
    }
}
