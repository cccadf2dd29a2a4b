//! Groups of rows and what is summed over each.

use super::budget::{Halt, Kept};
use super::error::{Error, Kind};
use super::exec::{Cx, Exec, Rank, Run, State};
use super::keys::{Keys, Place};
use super::plan::{Ex, Slot, Sum, SumKind};
use super::temporal::Duration;
use super::value::{NodeRef, Single, Value, compare, order, order_written};
use rustc_hash::FxHashSet;
use std::cmp::Ordering;

/// Groups in the order in which they first came.
#[derive(Debug)]
pub(crate) struct Groups {
    keys: Keys,
    totals: Vec<Vec<Total>>,
    /// Where the first row of each group would have come, when rows come in any order.
    ranks: Vec<Rank>,
    pub kept: Kept,
}

/// What is known of one aggregate of one group.
#[derive(Debug, Default)]
struct Total {
    seen: Option<Box<Seen>>,
    count: i64,
    int: i128,
    float: f64,
    is_float: bool,
    duration: Option<Duration>,
    best: Option<Value>,
    values: Vec<Value>,
    at: f64,
}

/// What an aggregate of different values has had; nodes by themselves, for they are asked of most.
#[derive(Debug, Default)]
struct Seen {
    nodes: FxHashSet<NodeRef>,
    others: FxHashSet<Single>,
}

impl Groups {
    /// Without keys there is one group even of no rows.
    pub(crate) fn new(alone: bool, sums: &[Sum]) -> Groups {
        let mut groups =
            Groups { keys: Keys::default(), totals: Vec::new(), ranks: Vec::new(), kept: Kept::default() };
        if alone {
            groups.place(&[], sums.len());
        }
        groups
    }

    fn place(&mut self, key: &[Value], sums: usize) -> usize {
        match self.keys.place(key) {
            Place::At(place) => place,
            Place::New(hash) => {
                key.iter().for_each(|v| self.kept.add(v));
                self.kept.bytes += sums * size_of::<Total>() + 2 * size_of::<Vec<Value>>();
                let mut totals = Vec::new();
                totals.resize_with(sums, Total::default);
                self.totals.push(totals);
                self.keys.add(hash, key.to_vec())
            }
        }
    }

    /// Notes where a row of a group would have come.
    fn rank(&mut self, place: usize, rank: Rank, key: &[Value]) {
        match self.ranks.get_mut(place) {
            None => self.ranks.push(rank),
            Some(first) if rank < *first => {
                *first = rank;
                self.keys.replace(place, key);
            }
            Some(_) => {}
        }
    }

    pub(crate) fn rows(self, sums: &[Sum]) -> Vec<Vec<Value>> {
        let row = |(mut key, totals): (Vec<Value>, Vec<Total>)| {
            key.extend(totals.into_iter().zip(sums).map(|(t, s)| t.value(s.kind)));
            key
        };
        let rows = self.keys.into_rows().zip(self.totals).map(row);
        if self.ranks.is_empty() {
            return rows.collect();
        }
        let mut ranked: Vec<(Rank, Vec<Value>)> = self.ranks.into_iter().zip(rows).collect();
        ranked.sort_unstable_by_key(|r| r.0);
        ranked.into_iter().map(|r| r.1).collect()
    }
}

impl Exec<'_> {
    /// Adds the frame to its group.
    pub(crate) fn grouped(
        &self,
        cx: &mut Cx,
        keys: &[(Ex, Slot)],
        sums: &[Sum],
        (ranked, state): (bool, usize),
    ) -> Run<()> {
        let mut key = std::mem::take(&mut cx.key);
        key.clear();
        for (e, _) in keys {
            key.push(self.eval(cx, e)?);
        }
        let (rank, many) = (cx.rank, i64::try_from(cx.many).unwrap_or(i64::MAX));
        let Some(State::Groups(groups)) = cx.states.get_mut(state) else { return Ok(()) };
        let before = groups.kept.bytes;
        let place = groups.place(&key, sums.len());
        if ranked {
            groups.rank(place, rank, &key);
        }
        let mut after = groups.kept.bytes;
        cx.key = key;
        for (i, sum) in sums.iter().enumerate() {
            // Counting needs no value, only whether there is one.
            let counted = match (&sum.of, sum.kind, sum.distinct) {
                (None, ..) => Some(true),
                (Some(Ex::Slot(slot)), SumKind::Count, false) => Some(!cx.get(*slot).is_null()),
                _ => None,
            };
            let (of, at) = match counted {
                Some(_) => (Value::Null, None),
                None => {
                    let of = sum.of.as_ref().map_or(Ok(Value::Null), |e| self.eval(cx, e))?;
                    (of, sum.at.as_ref().map(|e| self.eval(cx, e)).transpose()?)
                }
            };
            let Some(State::Groups(groups)) = cx.states.get_mut(state) else { return Ok(()) };
            let Groups { totals, kept, .. } = groups;
            let Some(total) = totals.get_mut(place).and_then(|t| t.get_mut(i)) else { return Ok(()) };
            match counted {
                Some(counts) => total.count += i64::from(counts) * many,
                None => total.add(sum, of, at, kept)?,
            }
            after = kept.bytes;
        }
        self.recount(cx, before, after)
    }
}

impl Seen {
    /// Whether a value was not there yet.
    fn add(&mut self, value: &Value, kept: &mut Kept) -> bool {
        if let Value::Node(node) = value {
            let new = self.nodes.insert(*node);
            kept.bytes += usize::from(new) * 2 * size_of::<NodeRef>();
            return new;
        }
        let single = Single(value.clone());
        if self.others.contains(&single) {
            return false;
        }
        kept.add(value);
        self.others.insert(single);
        true
    }
}

impl Total {
    fn add(&mut self, sum: &Sum, value: Value, at: Option<Value>, kept: &mut Kept) -> Run<()> {
        if value.is_null() {
            return Ok(());
        }
        if sum.distinct && !self.seen.get_or_insert_default().add(&value, kept) {
            return Ok(());
        }
        self.count += 1;
        match sum.kind {
            SumKind::CountAll | SumKind::Count => {}
            SumKind::Sum | SumKind::Avg => self.sum(sum, &value)?,
            SumKind::Min | SumKind::Max => {
                let better = |best: &Value| {
                    let order = compare(&value, best).unwrap_or_else(|| order(&value, best));
                    let order = if sum.kind == SumKind::Min { order } else { order.reverse() };
                    order.then_with(|| order_written(&value, best)) == Ordering::Less
                };
                if self.best.as_ref().is_none_or(better) {
                    self.best = Some(value);
                }
            }
            SumKind::Collect => {
                let value = super::eval::flat_enough(value)?;
                kept.add(&value);
                self.values.push(value);
            }
            SumKind::PercentileCont | SumKind::PercentileDisc => {
                self.at = share(sum, at.as_ref())?;
                self.number(sum, value, kept)?;
            }
            SumKind::StDev | SumKind::StDevP => self.number(sum, value, kept)?,
        }
        Ok(())
    }

    fn number(&mut self, sum: &Sum, value: Value, kept: &mut Kept) -> Run<()> {
        if !matches!(value, Value::Int(_) | Value::Float(_)) {
            return Err(wrong(sum, &value));
        }
        kept.add(&value);
        self.values.push(value);
        Ok(())
    }

    fn sum(&mut self, sum: &Sum, value: &Value) -> Run<()> {
        match value {
            Value::Int(i) => {
                self.int += i128::from(*i);
                self.float += *i as f64;
            }
            Value::Float(x) => {
                self.is_float = true;
                self.float += x;
            }
            Value::Duration(d) => {
                let so_far = self.duration.unwrap_or_default();
                self.duration = Some(so_far.plus(**d).ok_or_else(|| too_large(sum))?);
            }
            other => return Err(wrong(sum, other)),
        }
        if !self.is_float && i64::try_from(self.int).is_err() && sum.kind == SumKind::Sum {
            return Err(too_large(sum));
        }
        Ok(())
    }

    fn value(mut self, kind: SumKind) -> Value {
        let count = self.count as f64;
        match kind {
            SumKind::CountAll | SumKind::Count => Value::Int(self.count),
            SumKind::Sum => match self.duration {
                Some(d) => Value::duration(d),
                None if self.is_float => Value::Float(self.float),
                None => Value::Int(i64::try_from(self.int).unwrap_or(i64::MAX)),
            },
            SumKind::Avg if self.count == 0 => Value::Null,
            SumKind::Avg => match self.duration.and_then(|d| d.scaled(1.0 / count)) {
                Some(d) => Value::duration(d),
                None => Value::Float(self.float / count),
            },
            SumKind::Min | SumKind::Max => self.best.unwrap_or(Value::Null),
            SumKind::Collect => Value::list(self.values),
            SumKind::PercentileCont | SumKind::PercentileDisc => {
                self.values.sort_by(order);
                percentile(&self.values, self.at, kind)
            }
            SumKind::StDev | SumKind::StDevP => {
                let numbers: Vec<f64> = self.values.iter().map(number).collect();
                Value::Float(deviation(&numbers, kind == SumKind::StDevP))
            }
        }
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int(i) => *i as f64,
        Value::Float(x) => *x,
        _ => f64::NAN,
    }
}

/// The second argument of a percentile.
fn share(sum: &Sum, at: Option<&Value>) -> Run<f64> {
    let share = at.map_or(f64::NAN, number);
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    let message = "a percentile is asked between 0 and 1";
    Err(Error::run(Kind::ArgumentError, "NumberOutOfRange", sum.span, message).into())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of values"
)]
fn percentile(sorted: &[Value], at: f64, kind: SumKind) -> Value {
    let Some(last) = sorted.len().checked_sub(1) else { return Value::Null };
    let get = |i: usize| sorted.get(i.min(last)).cloned().unwrap_or(Value::Null);
    if kind == SumKind::PercentileDisc {
        let rank = (at * sorted.len() as f64).ceil() as usize;
        return get(rank.saturating_sub(1));
    }
    let place = at * last as f64;
    let (low, high) = (number(&get(place.floor() as usize)), number(&get(place.ceil() as usize)));
    Value::Float(low + (high - low) * place.fract())
}

fn deviation(numbers: &[f64], whole: bool) -> f64 {
    let n = numbers.len() as f64;
    let by = if whole { n } else { n - 1.0 };
    if by <= 0.0 {
        return 0.0;
    }
    let mean = numbers.iter().sum::<f64>() / n;
    (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / by).sqrt()
}

fn wrong(sum: &Sum, value: &Value) -> Halt {
    let message = format!("a number is due here, this is {}", value.kind());
    Error::run(Kind::TypeError, "InvalidArgumentValue", sum.span, message).into()
}

fn too_large(sum: &Sum) -> Halt {
    Error::run(Kind::ArgumentError, "NumberOutOfRange", sum.span, "this sum is too large").into()
}
