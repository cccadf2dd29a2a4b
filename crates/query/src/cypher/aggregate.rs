//! Groups of rows and what is summed over each.

use super::budget::{Halt, Kept};
use super::error::{Error, Kind};
use super::exec::{Cx, Exec, Run, State};
use super::plan::{Ex, Slot, Sum, SumKind};
use super::temporal::Duration;
use super::value::{Key, Value, compare, order};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Ordering;

/// Groups in the order in which they first came.
#[derive(Debug)]
pub(crate) struct Groups {
    places: FxHashMap<Key, usize>,
    groups: Vec<(Vec<Value>, Vec<Total>)>,
    pub kept: Kept,
}

/// What is known of one aggregate of one group.
#[derive(Debug, Default)]
struct Total {
    seen: FxHashSet<Key>,
    count: i64,
    int: i128,
    float: f64,
    is_float: bool,
    duration: Option<Duration>,
    best: Option<Value>,
    values: Vec<Value>,
    at: f64,
}

impl Groups {
    /// Without keys there is one group even of no rows.
    pub(crate) fn new(alone: bool, sums: &[Sum]) -> Groups {
        let mut groups = Groups { places: FxHashMap::default(), groups: Vec::new(), kept: Kept::default() };
        if alone {
            groups.place(Vec::new(), sums.len());
        }
        groups
    }

    fn place(&mut self, key: Vec<Value>, sums: usize) -> usize {
        let key = Key(key);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        key.0.iter().for_each(|v| self.kept.add(v));
        self.kept.bytes += sums * size_of::<Total>() + 2 * size_of::<Key>();
        let mut totals = Vec::new();
        totals.resize_with(sums, Total::default);
        self.groups.push((key.0.clone(), totals));
        self.places.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }

    pub(crate) fn rows(self, sums: &[Sum]) -> Vec<Vec<Value>> {
        let row = |(mut key, totals): (Vec<Value>, Vec<Total>)| {
            key.extend(totals.into_iter().zip(sums).map(|(t, s)| t.value(s.kind)));
            key
        };
        self.groups.into_iter().map(row).collect()
    }
}

impl Exec<'_> {
    /// Adds the frame to its group.
    pub(crate) fn grouped(&self, cx: &mut Cx, keys: &[(Ex, Slot)], sums: &[Sum], state: usize) -> Run<()> {
        let mut key = Vec::with_capacity(keys.len());
        for (e, _) in keys {
            key.push(self.eval(cx, e)?);
        }
        let mut args = Vec::with_capacity(sums.len());
        for s in sums {
            let of = s.of.as_ref().map(|e| self.eval(cx, e)).transpose()?;
            let at = s.at.as_ref().map(|e| self.eval(cx, e)).transpose()?;
            args.push((of, at));
        }
        let Some(State::Groups(groups)) = cx.states.get_mut(state) else { return Ok(()) };
        let before = groups.kept.bytes;
        let place = groups.place(key, sums.len());
        let Groups { groups: all, kept, .. } = groups;
        let Some((_, totals)) = all.get_mut(place) else { return Ok(()) };
        for ((total, sum), (of, at)) in totals.iter_mut().zip(sums).zip(args) {
            total.add(sum, of, at, kept)?;
        }
        let after = kept.bytes;
        self.recount(cx, before, after)
    }
}

impl Total {
    fn add(&mut self, sum: &Sum, of: Option<Value>, at: Option<Value>, kept: &mut Kept) -> Run<()> {
        let Some(value) = of else {
            self.count += 1;
            return Ok(());
        };
        if value.is_null() {
            return Ok(());
        }
        if sum.distinct {
            let key = Key(vec![value.clone()]);
            if self.seen.contains(&key) {
                return Ok(());
            }
            kept.add(&value);
            kept.bytes += size_of::<Key>();
            self.seen.insert(key);
        }
        self.count += 1;
        match sum.kind {
            SumKind::CountAll | SumKind::Count => {}
            SumKind::Sum | SumKind::Avg => self.sum(sum, &value)?,
            SumKind::Min | SumKind::Max => {
                let wanted = if sum.kind == SumKind::Min { Ordering::Less } else { Ordering::Greater };
                if self
                    .best
                    .as_ref()
                    .is_none_or(|b| compare(&value, b).unwrap_or_else(|| order(&value, b)) == wanted)
                {
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
