//! Resources: resolved to fields once per distinct resource, kept between requests.

use crate::record::Record;
use ontology::Refused;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What one resource said.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its bytes, when it came as protobuf.
    raw: Box<[u8]>,
    pub fields: Record<'static>,
    /// No other resource has this number.
    pub number: u64,
    /// The same for equal attributes in any order and any form.
    pub identity: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// About how much it weighs.
    pub bytes: usize,
}

/// What of a resource was set aside, to be said again in each request that has it.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// Texts in it that were not UTF-8.
    pub not_utf8: u32,
    /// What its references to entities say in vain.
    pub entities: Vec<Refused>,
}

/// Resources seen before, by their bytes. What is read does not depend on what is kept.
#[derive(Debug)]
pub(crate) struct Resources {
    known: FxHashMap<u64, Arc<Resource>>,
    met: u64,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Resources {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Resources {
        Resources { known: FxHashMap::default(), met: 0, bytes: 0, most, most_bytes }
    }

    /// The resource with exactly these bytes.
    pub(crate) fn get(&self, raw: &[u8]) -> Option<Arc<Resource>> {
        self.known.get(&xxh3_64(raw)).filter(|r| *r.raw == *raw).cloned()
    }

    /// Keeps a resource; all are let go when there are too many.
    pub(crate) fn keep(
        &mut self,
        raw: Option<&[u8]>,
        fields: Record<'static>,
        identity: u64,
        wrong: Wrong,
    ) -> Arc<Resource> {
        self.met += 1;
        // The flat record weighs about as much again per field as its text, and its index of fields. JSON is as large as that.
        let bytes = raw.map_or(8192, |r| r.len() * 3 + 1024);
        let number = self.met;
        let raw_copy = raw.unwrap_or_default().into();
        let resource = Arc::new(Resource { raw: raw_copy, fields, number, identity, wrong, bytes });
        if let Some(raw) = raw {
            if self.known.len() >= self.most || self.bytes >= self.most_bytes {
                self.known.clear();
                self.bytes = 0;
            }
            self.bytes += bytes;
            self.known.insert(xxh3_64(raw), Arc::clone(&resource));
        }
        resource
    }
}
