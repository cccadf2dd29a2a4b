//! What was set aside in a request: by reason, with a few examples, however many there are.

use ontology::Refused;

/// Reasons that begin so tell of something no mapping has a place for; the sender did nothing wrong.
pub const NOT_MAPPED: &str = "not mapped: ";
/// Reasons that begin so tell of a part of an item; the rest of the item was understood.
pub const IN_PART: &str = "in part: ";

/// Whether whole items were sent wrongly, so that their sender should be told (`partial_success` in OTLP).
pub fn is_senders_fault(refused: &Refused) -> bool {
    !refused.reason.starts_with(NOT_MAPPED) && !refused.reason.starts_with(IN_PART)
}

/// Different details kept for one reason in one request. Beyond: further items count for the first.
const EXAMPLES: usize = 8;
/// Characters of a detail.
const SHOWN: usize = 200;

/// Collects what was set aside.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    all: Vec<Refused>,
    /// Whether each is kept by itself.
    verbatim: bool,
}

impl Refusals {
    /// Keeps everything, to be said again.
    pub(crate) fn verbatim() -> Refusals {
        Refusals { all: Vec::new(), verbatim: true }
    }

    /// What was set aside since the last call, one by one.
    pub(crate) fn take(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.all)
    }

    /// Says again what was set aside before.
    pub(crate) fn repeat(&mut self, said: &[Refused]) {
        for r in said {
            self.add(&r.reason, || r.detail.clone());
        }
    }

    /// Counts one.
    pub(crate) fn add(&mut self, reason: &str, detail: impl FnOnce() -> String) {
        self.add_prefixed("", reason, detail);
    }

    /// Counts one item that no mapping has a place for.
    pub(crate) fn not_mapped(&mut self, what: &str, detail: impl FnOnce() -> String) {
        self.add_prefixed(NOT_MAPPED, what, detail);
    }

    /// Counts one part of an item.
    pub(crate) fn in_part(&mut self, what: &str, detail: impl FnOnce() -> String) {
        self.add_prefixed(IN_PART, what, detail);
    }

    fn add_prefixed(&mut self, prefix: &str, what: &str, detail: impl FnOnce() -> String) {
        let is = |r: &Refused| r.reason.strip_prefix(prefix) == Some(what);
        let known = self.all.iter().filter(|r| is(r)).count();
        if known >= EXAMPLES && !self.verbatim {
            if let Some(first) = self.all.iter_mut().find(|r| is(r)) {
                first.items += 1;
            }
            return;
        }
        let mut detail = detail();
        if let Some((cut, _)) = detail.char_indices().nth(SHOWN) {
            detail.truncate(cut);
            detail.push('…');
        }
        match self.all.iter_mut().find(|r| !self.verbatim && is(r) && r.detail == detail) {
            Some(same) => same.items += 1,
            None => self.all.push(Refused { reason: format!("{prefix}{what}"), detail, items: 1 }),
        }
    }

    /// Everything set aside, by reason.
    pub(crate) fn finish(mut self) -> Vec<Refused> {
        self.all.sort_by(|a, b| a.reason.cmp(&b.reason).then_with(|| a.detail.cmp(&b.detail)));
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_refusals_are_a_few_lines_and_the_right_count() {
        let mut r = Refusals::default();
        for i in 0..1000 {
            r.add("too odd", || format!("value {i}"));
        }
        r.in_part("no key", || "x".repeat(1000));
        let all = r.finish();
        assert_eq!(all.len(), EXAMPLES + 1);
        assert_eq!(all.iter().filter(|r| is_senders_fault(r)).map(|r| r.items).sum::<u64>(), 1000);
        assert!(all.iter().all(|r| r.detail.chars().count() <= SHOWN + 1));
    }
}
