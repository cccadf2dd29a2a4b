//! The limits of a store: each has a name, a default and a documented effect.

use std::path::PathBuf;
use std::time::Duration;

/// Where a store lives and how much it may hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder; created when missing, locked while open.
    pub dir: PathBuf,
    /// A segment that has reached this size is closed and a new one begun. A segment may exceed it by one group.
    pub segment_bytes: u64,
    /// How long the first record of a group waits for others before the group is flushed.
    pub commit_interval: Duration,
    /// A group this large is flushed without waiting further.
    pub group_bytes: u64,
    /// Larger records are refused for good.
    pub max_record_bytes: u64,
    /// While this much is handed over and not yet flushed, further records are refused for now.
    pub max_pending_bytes: u64,
    /// Larger documents are refused for good.
    pub max_document_bytes: u64,
}

impl Options {
    /// The defaults, in a folder.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            // Retention removes whole segments and replay names damage within one: small enough to remove often, large
            // enough that a day at 10 MB/s is some thousands of files.
            segment_bytes: 128 << 20,
            // One flush costs 1–5 ms on the disks seen; waiting about as long again doubles what one flush carries.
            commit_interval: Duration::from_millis(5),
            group_bytes: 8 << 20,
            // The OTLP limit of 64 MiB after decompression, and room for the envelope around it.
            max_record_bytes: (64 << 20) + (64 << 10),
            max_pending_bytes: 256 << 20,
            max_document_bytes: 64 << 20,
        }
    }

    /// Every limit with its value and effect, for `/metrics` and the documentation.
    pub fn limits(&self) -> [Limit; 6] {
        let limit = |name, value, effect| Limit { name, value, effect };
        [
            limit(
                "store_segment_bytes",
                self.segment_bytes,
                "a larger segment is closed and a new one begun",
            ),
            limit(
                "store_commit_interval_us",
                u64::try_from(self.commit_interval.as_micros()).unwrap_or(u64::MAX),
                "the longest wait before a group of records is flushed",
            ),
            limit("store_group_bytes", self.group_bytes, "a larger group is flushed at once"),
            limit("store_max_record_bytes", self.max_record_bytes, "a larger record is refused"),
            limit(
                "store_max_pending_bytes",
                self.max_pending_bytes,
                "beyond it records are refused for now (busy)",
            ),
            limit("store_max_document_bytes", self.max_document_bytes, "a larger document is refused"),
        ]
    }

    /// What contradicts itself in these options, if anything does.
    pub(crate) fn contradiction(&self) -> Option<String> {
        if self.max_record_bytes > self.max_pending_bytes {
            return Some(format!(
                "store_max_pending_bytes ({}) must be at least store_max_record_bytes ({}), or the largest record could never be accepted",
                self.max_pending_bytes, self.max_record_bytes
            ));
        }
        if self.max_record_bytes > u64::from(u32::MAX) {
            return Some(
                "store_max_record_bytes must be below 4 GiB: the length of a record has 32 bits".to_owned(),
            );
        }
        (self.segment_bytes == 0).then(|| "store_segment_bytes must be above 0".to_owned())
    }
}

/// One limit as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, as in `/metrics`.
    pub name: &'static str,
    /// Its value; the unit is the end of the name.
    pub value: u64,
    /// What happens at the limit.
    pub effect: &'static str,
}
