//! Personal labels of Prometheus remote write 2.0, whose names and values are numbers of one table of texts.
//!
//! A text that is only ever the value of a personal label is replaced where it stands. One that something else uses too stays for that, and
//! the personal labels get an entry of their own at the end of the table. What nothing uses is emptied, for nobody can tell what it is.

use super::{Scrubbing, put_bytes, put_varint};
use crate::proto::{Reader, Wired};
use std::collections::BTreeMap;

/// Fields of `io.prometheus.write.v2.Request`, `TimeSeries`, `Exemplar` and `Metadata`.
const SYMBOLS: u32 = 4;
const SERIES: u32 = 5;
const LABELS: u32 = 1;
const EXEMPLARS: u32 = 4;
const METADATA: u32 = 5;
const HELP: u32 = 3;
const UNIT: u32 = 4;

/// How a symbol is used.
#[derive(Clone, Copy, Default)]
struct Use {
    /// As the value of a personal label.
    personal: bool,
    /// As anything else.
    other: bool,
}

/// The table of symbols, and what becomes of it.
struct Table<'b> {
    symbols: Vec<&'b [u8]>,
    uses: Vec<Use>,
}

impl Scrubbing<'_> {
    /// The request without personal data; `None` when there is none in it, or when it cannot be read.
    pub(super) fn symbols(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut table = Table { symbols: symbols(body)?, uses: Vec::new() };
        if !table.symbols.iter().any(|s| self.is_name(s)) {
            return None;
        }
        table.uses = vec![Use::default(); table.symbols.len()];
        let mut r = Reader::new(body);
        while let Some((number, wired)) = r.next().ok()? {
            if let (SERIES, Wired::Bytes(series)) = (number, wired) {
                self.look(series, &mut table)?;
            }
        }
        let moved = self.moved(&mut table);
        let mut out = Vec::with_capacity(body.len() + 64);
        let mut place = 0;
        let (mut r, mut copied) = (Reader::new(body), 0);
        loop {
            let start = body.len() - r.left();
            let Some((number, wired)) = r.next().ok()? else { break };
            let end = body.len() - r.left();
            let new = match (number, wired) {
                (SYMBOLS, Wired::Bytes(symbol)) => {
                    place += 1;
                    self.symbol(symbol, *table.uses.get(place - 1)?)
                }
                (SERIES, Wired::Bytes(series)) if !moved.is_empty() => {
                    Some(self.series(series, &table, &moved)?)
                }
                _ => None,
            };
            if let Some(new) = new {
                out.extend_from_slice(body.get(copied..start)?);
                put_bytes(&mut out, number, &new);
                copied = end;
            }
        }
        out.extend_from_slice(body.get(copied..)?);
        let mut added: Vec<(u64, usize)> = moved.iter().map(|(old, new)| (*new, *old)).collect();
        added.sort_unstable();
        for (_, old) in added {
            put_bytes(&mut out, SYMBOLS, self.hashed(table.symbols.get(old)?).as_bytes());
        }
        (out != body).then_some(out)
    }

    fn is_name(self, symbol: &[u8]) -> bool {
        std::str::from_utf8(symbol).is_ok_and(|s| self.names.all.contains(s))
    }

    fn hashed(self, symbol: &[u8]) -> String {
        self.marked(&String::from_utf8_lossy(symbol))
    }

    /// What stands in the place of a symbol, where it is something else.
    fn symbol(self, symbol: &[u8], used: Use) -> Option<Vec<u8>> {
        match used {
            Use { other: true, .. } => None,
            Use { personal: true, .. } => Some(self.hashed(symbol).into_bytes()),
            Use { .. } => Some(Vec::new()),
        }
    }

    /// Notes how a series uses symbols.
    fn look(self, series: &[u8], table: &mut Table<'_>) -> Option<()> {
        let mut labels = Vec::new();
        let mut r = Reader::new(series);
        while let Some((number, wired)) = r.next().ok()? {
            match (number, wired) {
                (LABELS, wired) => wired.varints("labels", &mut labels).ok()?,
                (EXEMPLARS, Wired::Bytes(exemplar)) => {
                    let mut own = Vec::new();
                    let mut r = Reader::new(exemplar);
                    while let Some((number, wired)) = r.next().ok()? {
                        if number == LABELS {
                            wired.varints("labels", &mut own).ok()?;
                        }
                    }
                    self.note(&own, table);
                }
                (METADATA, Wired::Bytes(metadata)) => {
                    let mut r = Reader::new(metadata);
                    while let Some((number, wired)) = r.next().ok()? {
                        if let (HELP | UNIT, Wired::Varint(symbol)) = (number, wired) {
                            table.used(symbol, |u| u.other = true);
                        }
                    }
                }
                _ => {}
            }
        }
        self.note(&labels, table);
        Some(())
    }

    fn note(self, labels: &[u64], table: &mut Table<'_>) {
        for pair in labels.chunks(2) {
            let (Some(name), value) = (pair.first(), pair.get(1)) else { continue };
            table.used(*name, |u| u.other = true);
            let personal = table.text(*name).is_some_and(|name| self.is_name(name));
            if let Some(value) = value {
                table.used(*value, |u| if personal { u.personal = true } else { u.other = true });
            }
        }
    }

    /// The symbols that are values of personal labels and something else, with their new places. An empty one stays: it means that
    /// there is no label.
    fn moved(self, table: &mut Table<'_>) -> BTreeMap<usize, u64> {
        let mut next = table.symbols.len() as u64;
        let mut moved = BTreeMap::new();
        for (place, (symbol, used)) in table.symbols.iter().zip(&mut table.uses).enumerate() {
            used.other |= symbol.is_empty();
            if used.personal && used.other && !symbol.is_empty() && self.hashed(symbol).as_bytes() != *symbol
            {
                moved.insert(place, next);
                next += 1;
            }
        }
        moved
    }

    /// A series whose personal labels lead to the entries that they got.
    fn series(self, series: &[u8], table: &Table<'_>, moved: &BTreeMap<usize, u64>) -> Option<Vec<u8>> {
        self.relabelled(series, table, moved, |field, below| {
            if field == EXEMPLARS {
                self.relabelled(below, table, moved, |_, below| Some(below.to_vec()))
            } else {
                Some(below.to_vec())
            }
        })
    }

    /// A message with its labels rewritten, in one piece; `below` gives what becomes of messages in it.
    fn relabelled(
        self,
        message: &[u8],
        table: &Table<'_>,
        moved: &BTreeMap<usize, u64>,
        below: impl Fn(u32, &[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(message.len() + 8);
        let mut labels = Vec::new();
        let mut r = Reader::new(message);
        loop {
            let start = message.len() - r.left();
            let Some((number, wired)) = r.next().ok()? else { break };
            match (number, wired) {
                (LABELS, wired) => wired.varints("labels", &mut labels).ok()?,
                (number, Wired::Bytes(bytes)) => put_bytes(&mut out, number, &below(number, bytes)?),
                _ => out.extend_from_slice(message.get(start..message.len() - r.left())?),
            }
        }
        for pair in labels.chunks_mut(2) {
            if let [name, value] = pair
                && table.text(*name).is_some_and(|name| self.is_name(name))
                && let Some(new) = usize::try_from(*value).ok().and_then(|v| moved.get(&v))
            {
                *value = *new;
            }
        }
        let mut packed = Vec::with_capacity(labels.len() * 2);
        labels.iter().for_each(|label| put_varint(&mut packed, *label));
        put_bytes(&mut out, LABELS, &packed);
        Some(out)
    }
}

impl Table<'_> {
    fn text(&self, symbol: u64) -> Option<&[u8]> {
        self.symbols.get(usize::try_from(symbol).ok()?).copied()
    }

    fn used(&mut self, symbol: u64, note: impl FnOnce(&mut Use)) {
        if let Some(used) = usize::try_from(symbol).ok().and_then(|s| self.uses.get_mut(s)) {
            note(used);
        }
    }
}

fn symbols(body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut symbols = Vec::new();
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next().ok()? {
        if let (SYMBOLS, Wired::Bytes(symbol)) = (number, wired) {
            symbols.push(symbol);
        }
    }
    Some(symbols)
}
