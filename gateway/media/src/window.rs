//! Where a sequence number stands in its stream: next, late, twice or far off (after RFC 3550 appendix A.1).

/// How many numbers behind the highest one are told apart.
pub(crate) const SPAN: u16 = 128;
/// A forward jump beyond this is a sender that began anew (MAX_DROPOUT).
const DROPOUT: u16 = 3000;

/// Where a sequence number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Ahead of all seen so far; `lost` numbers between are missing.
    Ahead { lost: u16 },
    /// Behind the highest and not seen yet; `filled` if it had been counted as missing.
    Late { filled: bool },
    /// Seen already.
    Duplicate,
    /// Behind what the window remembers, or behind where it began.
    TooLate,
    /// So far off that it belongs to another count.
    Astray,
}

/// The last [`SPAN`] numbers of one stream; bit `n` of `seen` stands for `highest - n`.
#[derive(Debug)]
pub(crate) struct Window {
    highest: u16,
    seen: u128,
    /// How far behind the highest the first one lies, at most `SPAN`.
    age: u16,
    /// Whether numbers before the first are taken too.
    open: bool,
}

impl Window {
    /// Begins with `first`, which may have overtaken others: until it is closed, numbers before it are late ones.
    pub(crate) fn new(first: u16) -> Self {
        Self { highest: first, seen: 1, age: 0, open: true }
    }

    /// Where `sequence` stands; changes nothing.
    pub(crate) fn place(&self, sequence: u16) -> Place {
        let ahead = sequence.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(sequence);
        match (ahead, behind) {
            (0, _) => Place::Duplicate,
            (1..=DROPOUT, _) => Place::Ahead { lost: ahead - 1 },
            (_, 1..SPAN) if self.seen >> behind & 1 == 1 => Place::Duplicate,
            (_, 1..SPAN) if self.open || behind <= self.age => Place::Late { filled: behind <= self.age },
            (_, 1..=DROPOUT) => Place::TooLate,
            (_, _) => Place::Astray,
        }
    }

    /// Marks a number that [`place`](Self::place) called ahead or late.
    pub(crate) fn take(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.highest);
        if (1..=DROPOUT).contains(&ahead) {
            self.seen = self.seen.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.age = self.age.saturating_add(ahead).min(SPAN);
            self.highest = sequence;
        } else {
            self.seen |= 1 << (self.highest.wrapping_sub(sequence) % SPAN);
        }
    }

    /// Whether nothing later was seen.
    pub(crate) fn is_newest(&self, sequence: u16) -> bool {
        sequence == self.highest
    }

    /// Makes the highest number the first one: whatever lies behind it is too late from now on.
    pub(crate) fn close(&mut self) {
        self.age = 0;
        self.open = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ahead_tell_how_many_are_missing_over_the_wrap_too() {
        let mut window = closed(65_534);
        assert_eq!(window.place(65_535), Place::Ahead { lost: 0 });
        assert_eq!(window.place(2), Place::Ahead { lost: 3 });
        window.take(2);
        assert_eq!(window.place(2), Place::Duplicate);
        assert_eq!(window.place(0), Place::Late { filled: true });
        window.take(0);
        assert_eq!(window.place(0), Place::Duplicate);
        assert_eq!(window.place(65_534), Place::Duplicate);
        assert_eq!(window.place(65_533), Place::TooLate, "it lies before the beginning");
    }

    #[test]
    fn an_open_window_takes_what_overtook_its_first() {
        assert_eq!(Window::new(100).place(99), Place::Late { filled: false });
        assert_eq!(closed(100).place(99), Place::TooLate);
    }

    #[test]
    fn a_number_behind_the_span_is_too_late() {
        let mut window = Window::new(1000);
        window.take(1000 + 500);
        assert_eq!(window.place(1500 - SPAN + 1), Place::Late { filled: true });
        assert_eq!(window.place(1500 - SPAN), Place::TooLate);
    }

    #[test]
    fn a_number_far_off_either_way_is_astray() {
        let window = Window::new(20_000);
        assert_eq!(window.place(20_000 + DROPOUT), Place::Ahead { lost: DROPOUT - 1 });
        assert_eq!(window.place(20_000 + DROPOUT + 1), Place::Astray);
        assert_eq!(window.place(20_000 - DROPOUT), Place::TooLate);
        assert_eq!(window.place(20_000 - DROPOUT - 1), Place::Astray);
    }

    #[test]
    fn a_closed_window_takes_nothing_from_before() {
        let mut window = Window::new(10);
        window.take(14);
        window.close();
        assert_eq!(window.place(12), Place::TooLate);
        assert_eq!(window.place(14), Place::Duplicate);
        assert!(window.is_newest(14));
    }

    fn closed(first: u16) -> Window {
        let mut window = Window::new(first);
        window.close();
        window
    }
}
