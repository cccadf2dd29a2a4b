//! A table that is cheap to share: rows in pages, pages in folders, both counted by reference.
//!
//! A clone copies one pointer per folder (31,744 rows); the writer copies a page when it first changes a row of it after a
//! clone was taken. Rows never move, so a row's place is its id.

use std::sync::{Arc, Weak};

/// Rows of a page: small enough that copying one for a single row costs less than a microsecond, and with what stands before them
/// (96 bytes, four rows of the smallest that are many) no more than a power of two of them. Allocators have few sizes between
/// powers of two: pages of 128 rows took a quarter more than they held.
pub(crate) const PAGE: usize = 124;
/// Pages of a folder.
const FOLDER: usize = 256;
/// Rows of a folder.
pub(crate) const ROWS: usize = PAGE * FOLDER;

/// Where a row is: folder, page of it, row of that.
fn place(row: usize) -> (usize, usize, usize) {
    let page = row / PAGE;
    (page / FOLDER, page % FOLDER, row - page * PAGE)
}

/// What changed between a page and what it was copied from.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: u64,
    /// A bit for each row that may be another one.
    rows: u128,
}

/// No page has this stamp.
const NEVER: Step = Step { from: u64::MAX, rows: 0 };
/// Every row.
const ALL: u128 = u128::MAX;
/// Copies that a page remembers: enough that two epochs with one or two between them are compared row by row that changed.
const PAST: usize = 2;

/// Rows, and which of them changed since the pages that this one was copied from, the latest first.
#[derive(Clone, Debug)]
struct Page<T> {
    /// Tells it from every other page of the table's writer, as long as it is shared.
    stamp: u64,
    past: [Step; PAST],
    rows: [T; PAGE],
}

impl<T> Page<T> {
    /// The rows that may differ from another page's.
    fn unlike(&self, other: &Page<T>) -> u128 {
        self.since(other).or_else(|| other.since(self)).unwrap_or(ALL)
    }

    fn since(&self, other: &Page<T>) -> Option<u128> {
        let mut rows = 0;
        for step in self.past {
            rows |= step.rows;
            if step.from == other.stamp {
                return Some(rows);
            }
        }
        None
    }
}

/// A page as it was: known by its place in memory, which is no other's as long as this is held, and who changes the page meanwhile
/// changes a copy.
#[derive(Debug)]
pub(crate) struct AsItWas<T>(Weak<Page<T>>);

/// A page that two tables do not share.
pub(crate) struct Unlike<'a, T> {
    /// The place of its first row.
    pub at: usize,
    /// Its rows in the first table; none where that ends before.
    pub before: &'a [T],
    /// Its rows in the second table.
    pub after: &'a [T],
    /// A bit for each row that may differ.
    rows: u128,
}

impl<'a, T> Unlike<'a, T> {
    /// The rows that may differ, with their places.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Option<&'a T>, Option<&'a T>)> + use<'a, T> {
        let (at, before, after, mut rows) = (self.at, self.before, self.after, self.rows);
        std::iter::from_fn(move || {
            let row = (rows != 0).then(|| rows.trailing_zeros() as usize)?;
            rows &= rows - 1;
            Some((at + row, before.get(row), after.get(row)))
        })
    }
}

/// A persistent table of rows.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    folders: Vec<Arc<Vec<Arc<Page<T>>>>>,
    len: usize,
    /// What stands for pages that were given back.
    empty: Option<Arc<Page<T>>>,
    /// Stamps given so far. Only the writer gives any.
    stamps: u64,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { folders: Vec::new(), len: 0, empty: None, stamps: 0 }
    }
}

impl<T: Clone + Default> Pages<T> {
    fn blank(&mut self) -> Arc<Page<T>> {
        self.stamps += 1;
        let rows = std::array::from_fn(|_| T::default());
        Arc::new(Page { stamp: self.stamps, past: [NEVER; PAST], rows })
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A row.
    pub(crate) fn get(&self, row: usize) -> Option<&T> {
        if row >= self.len {
            return None;
        }
        let (folder, page, row) = place(row);
        self.folders.get(folder)?.get(page)?.rows.get(row)
    }

    /// A page by number: what it is known by later on, and its rows.
    pub(crate) fn page(&self, page: usize) -> Option<(AsItWas<T>, &[T])> {
        let page = self.folders.get(page / FOLDER)?.get(page % FOLDER)?;
        Some((AsItWas(Arc::downgrade(page)), &page.rows))
    }

    /// Whether a page is still the one that it was.
    pub(crate) fn is_as_it_was(&self, page: usize, was: &AsItWas<T>) -> bool {
        let page = self.folders.get(page / FOLDER).and_then(|f| f.get(page % FOLDER));
        page.is_some_and(|page| std::ptr::eq(Arc::as_ptr(page), was.0.as_ptr()))
    }

    /// A row to change.
    pub(crate) fn get_mut(&mut self, row: usize) -> Option<&mut T> {
        if row >= self.len {
            return None;
        }
        let (folder, page, row) = place(row);
        let folder = Arc::make_mut(self.folders.get_mut(folder)?);
        let page = folder.get_mut(page)?;
        if Arc::get_mut(page).is_none() {
            self.stamps += 1;
            let [latest, ..] = page.past;
            let past = [Step { from: page.stamp, rows: 0 }, latest];
            *page = Arc::new(Page { stamp: self.stamps, past, rows: page.rows.clone() });
        }
        let page = Arc::get_mut(page)?;
        page.past[0].rows |= 1 << row;
        page.rows.get_mut(row)
    }

    /// Adds a row and says where.
    pub(crate) fn push(&mut self, row: T) -> usize {
        let at = self.len;
        if at.is_multiple_of(ROWS) {
            self.folders.push(Arc::new(Vec::with_capacity(FOLDER)));
        }
        if at.is_multiple_of(PAGE) {
            let page = self.blank();
            if let Some(folder) = self.folders.last_mut() {
                Arc::make_mut(folder).push(page);
            }
        }
        self.len += 1;
        if let Some(place) = self.get_mut(at) {
            *place = row;
        }
        at
    }

    /// Gives back the room of the page of a row when `unused` says so of all its rows, which then read as by default. Their places
    /// are not used again.
    pub(crate) fn give_back(&mut self, row: usize, unused: impl Fn(&T) -> bool) {
        let (folder, at, within) = place(row);
        let Some(page) = self.folders.get(folder).and_then(|f| f.get(at)) else { return };
        let whole = row - within + PAGE <= self.len;
        if !whole || !page.rows.iter().all(unused) {
            return;
        }
        let empty = match &self.empty {
            Some(empty) => Arc::clone(empty),
            None => {
                let empty = self.blank();
                Arc::clone(self.empty.insert(empty))
            }
        };
        let folder = self.folders.get_mut(folder).map(Arc::make_mut);
        if let Some(page) = folder.and_then(|f| f.get_mut(at)) {
            *page = empty;
        }
    }

    /// Adds rows as by default, without room for whole pages of them.
    pub(crate) fn skip(&mut self, many: usize) {
        let begin = self.len;
        for row in begin..begin + many {
            self.push(T::default());
            // Of the first page some rows may be in use.
            if (row + 1).is_multiple_of(PAGE) && row + 1 >= begin + PAGE {
                self.give_back(row, |_| true);
            }
        }
    }

    /// The pages that two tables do not share, when one writer made both. Rows past the end of a table read as by default.
    pub(crate) fn unlike<'a>(&'a self, other: &'a Pages<T>) -> impl Iterator<Item = Unlike<'a, T>> + 'a {
        let folders = self.folders.len().max(other.folders.len());
        let apart = (0..folders).filter_map(|f| match (self.folders.get(f), other.folders.get(f)) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => None,
            (a, b) => Some((f, a.map_or(&[][..], |a| a), b.map_or(&[][..], |b| b))),
        });
        apart.flat_map(|(f, a, b)| {
            (0..a.len().max(b.len())).filter_map(move |p| {
                let (a, b) = (a.get(p), b.get(p));
                let rows = match (a, b) {
                    (Some(a), Some(b)) if Arc::ptr_eq(a, b) => return None,
                    (Some(a), Some(b)) => a.unlike(b),
                    _ => ALL,
                };
                let told = |page: Option<&'a Arc<Page<T>>>| page.map_or(&[][..], |p| &p.rows);
                Some(Unlike { at: f * ROWS + p * PAGE, before: told(a), after: told(b), rows })
            })
        })
    }

    /// Brings near what is looked at when a row is changed besides the row itself.
    pub(crate) fn warm(&self, row: usize) -> usize {
        let (folder, page, _) = place(row);
        self.folders.get(folder).and_then(|f| f.get(page)).map_or(0, Arc::strong_count)
    }

    /// Every row, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.folders.iter().flat_map(|f| f.iter()).flat_map(|p| p.rows.iter()).take(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut table: Pages<u32> = Pages::default();
        for i in 0..100_000 {
            assert_eq!(table.push(i), i as usize);
        }
        let before = table.clone();
        *table.get_mut(70_000).unwrap() = 7;
        table.push(1);
        assert_eq!((before.get(70_000), before.len(), before.get(100_000)), (Some(&70_000), 100_000, None));
        assert_eq!((table.get(70_000), table.get(100_000)), (Some(&7), Some(&1)));
        assert!(before.iter().copied().eq(0..100_000));
    }

    #[test]
    fn only_rows_that_changed_on_pages_that_are_not_shared_are_unlike() {
        let mut table: Pages<u32> = Pages::default();
        (0..40_000).for_each(|i| {
            table.push(i);
        });
        let before = table.clone();
        assert_eq!(table.unlike(&before).count(), 0);
        *table.get_mut(300).unwrap() = 7;
        *table.get_mut(33_000).unwrap() = 8;
        (0..200).for_each(|i| {
            table.push(i);
        });
        let places: Vec<usize> = before.unlike(&table).map(|u| u.at).collect();
        assert_eq!(places, [248, 32_984, 39_928, 40_052, 40_176]);
        let rows = |a: &Pages<u32>, b: &Pages<u32>| -> Vec<(usize, u32, u32)> {
            let all: Vec<_> = a.unlike(b).take(2).flat_map(|u| u.rows()).collect();
            all.into_iter().map(|(at, a, b)| (at, *a.unwrap(), *b.unwrap())).collect()
        };
        assert_eq!(rows(&before, &table), [(300, 300, 7), (33_000, 33_000, 8)]);
        assert_eq!(rows(&table, &before), [(300, 7, 300), (33_000, 8, 33_000)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever was changed, given back and kept in between, of all pairs of epochs.
        #[test]
        fn every_row_that_differs_is_among_those_that_may(steps in proptest::collection::vec((0usize..700, 0u8..12), 0..60)) {
            let mut table: Pages<u32> = Pages::default();
            let mut epochs = vec![table.clone()];
            for (i, (row, what)) in (1..).zip(steps) {
                match what {
                    0 => epochs.push(table.clone()),
                    1 => {
                        // The epoch itself is let go, and its pages with it.
                        let at = row % epochs.len();
                        epochs.remove(at);
                        epochs.push(table.clone());
                    }
                    2 => {
                        for r in (row / PAGE * PAGE..).take(PAGE) {
                            table.get_mut(r).into_iter().for_each(|v| *v = 0);
                        }
                        table.give_back(row, |v| *v == 0);
                    }
                    3..6 => {
                        (0..row).for_each(|_| { table.push(i); });
                    }
                    _ => table.get_mut(row).into_iter().for_each(|v| *v = i),
                }
            }
            epochs.push(table);
            let last = epochs.len() - 1;
            for (i, a) in epochs.iter().enumerate() {
                for b in [epochs.get(i + 1), epochs.get(i / 2), epochs.get(last)].into_iter().flatten() {
                    let may: Vec<usize> = a.unlike(b).flat_map(|u| u.rows()).map(|r| r.0).collect();
                    let most = a.len().max(b.len());
                    let read = |of: &Pages<u32>, row: usize| of.get(row).copied().unwrap_or_default();
                    let differ = (0..most).filter(|r| read(a, *r) != read(b, *r));
                    for row in differ {
                        prop_assert!(may.binary_search(&row).is_ok(), "{}", row);
                    }
                }
            }
        }
    }

    #[test]
    fn a_page_without_use_is_given_back_and_may_be_written_again() {
        let mut table: Pages<u32> = Pages::default();
        (0..1000).for_each(|i| {
            table.push(i + 1);
        });
        for row in PAGE..3 * PAGE {
            *table.get_mut(row).unwrap() = 0;
            table.give_back(row, |v| *v == 0);
        }
        let folder = &table.folders[0];
        assert!(Arc::ptr_eq(&folder[1], &folder[2]) && !Arc::ptr_eq(&folder[0], &folder[1]));
        *table.get_mut(130).unwrap() = 9;
        assert_eq!(
            [table.get(130), table.get(258), table.get(0), table.get(3 * PAGE)],
            [Some(&9), Some(&0), Some(&1), Some(&373)]
        );
    }
}
