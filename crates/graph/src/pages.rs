//! A table that is cheap to share: rows in pages, pages in folders, both counted by reference.
//!
//! A clone copies one pointer per folder (32,768 rows); the writer copies a page when it first changes a row of it after a
//! clone was taken. Rows never move, so a row's place is its id.

use std::sync::Arc;

/// Rows of a page: small enough that copying one for a single row costs less than a microsecond.
const PAGE: usize = 128;
/// Pages of a folder.
const FOLDER: usize = 256;
const ROWS: usize = PAGE * FOLDER;

type Page<T> = Arc<[T]>;

/// A persistent table of rows.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    folders: Vec<Arc<Vec<Page<T>>>>,
    len: usize,
    /// What stands for pages that were given back.
    empty: Option<Page<T>>,
}

fn blank<T: Clone + Default>() -> Page<T> {
    std::iter::repeat_n(T::default(), PAGE).collect()
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { folders: Vec::new(), len: 0, empty: None }
    }
}

impl<T: Clone + Default> Pages<T> {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A row.
    pub(crate) fn get(&self, row: usize) -> Option<&T> {
        if row >= self.len {
            return None;
        }
        self.folders.get(row / ROWS)?.get(row % ROWS / PAGE)?.get(row % PAGE)
    }

    /// A row to change.
    pub(crate) fn get_mut(&mut self, row: usize) -> Option<&mut T> {
        if row >= self.len {
            return None;
        }
        let folder = Arc::make_mut(self.folders.get_mut(row / ROWS)?);
        Arc::make_mut(folder.get_mut(row % ROWS / PAGE)?).get_mut(row % PAGE)
    }

    /// Adds a row and says where.
    pub(crate) fn push(&mut self, row: T) -> usize {
        let at = self.len;
        if at.is_multiple_of(ROWS) {
            self.folders.push(Arc::new(Vec::with_capacity(FOLDER)));
        }
        if at.is_multiple_of(PAGE)
            && let Some(folder) = self.folders.last_mut()
        {
            Arc::make_mut(folder).push(blank());
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
        let Some(folder) = self.folders.get(row / ROWS) else { return };
        let Some(page) = folder.get(row % ROWS / PAGE) else { return };
        let whole = row / PAGE * PAGE + PAGE <= self.len;
        if !whole || !page.iter().all(unused) {
            return;
        }
        let empty = match &self.empty {
            Some(empty) => Arc::clone(empty),
            None => Arc::clone(self.empty.insert(blank())),
        };
        let folder = self.folders.get_mut(row / ROWS).map(Arc::make_mut);
        if let Some(page) = folder.and_then(|f| f.get_mut(row % ROWS / PAGE)) {
            *page = empty;
        }
    }

    /// Adds rows as by default, without room for whole pages of them.
    pub(crate) fn skip(&mut self, many: usize) {
        for row in self.len..self.len + many {
            self.push(T::default());
            if (row + 1).is_multiple_of(PAGE) {
                self.give_back(row, |_| true);
            }
        }
    }

    /// The pages that two tables do not share: the place of their first row, and their rows in both (none where a table ends before).
    /// Rows past the end of a table read as by default.
    pub(crate) fn unlike<'a>(
        &'a self,
        other: &'a Pages<T>,
    ) -> impl Iterator<Item = (usize, &'a [T], &'a [T])> + 'a {
        let folders = self.folders.len().max(other.folders.len());
        let apart = (0..folders).filter_map(|f| match (self.folders.get(f), other.folders.get(f)) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => None,
            (a, b) => Some((f, a.map_or(&[][..], |a| a), b.map_or(&[][..], |b| b))),
        });
        apart.flat_map(|(f, a, b)| {
            (0..a.len().max(b.len())).filter_map(move |p| {
                let at = f * ROWS + p * PAGE;
                match (a.get(p), b.get(p)) {
                    (Some(a), Some(b)) if Arc::ptr_eq(a, b) => None,
                    (a, b) => Some((at, a.map_or(&[][..], |a| a), b.map_or(&[][..], |b| b))),
                }
            })
        })
    }

    /// Every row, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.folders.iter().flat_map(|f| f.iter()).flat_map(|p| p.iter()).take(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_pages_that_are_not_shared_are_unlike() {
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
        let places: Vec<usize> = before.unlike(&table).map(|u| u.0).collect();
        assert_eq!(places, [256, 32_896, 39_936, 40_064, 40_192]);
        let changed: Vec<(usize, u32, u32)> = before
            .unlike(&table)
            .flat_map(|(at, a, b)| (at..).zip(a.iter().zip(b)).map(|(i, (a, b))| (i, *a, *b)))
            .filter(|(_, a, b)| a != b)
            .take(2)
            .collect();
        assert_eq!(changed, [(300, 300, 7), (33_000, 33_000, 8)]);
    }

    #[test]
    fn a_page_without_use_is_given_back_and_may_be_written_again() {
        let mut table: Pages<u32> = Pages::default();
        (0..1000).for_each(|i| {
            table.push(i + 1);
        });
        for row in 128..384 {
            *table.get_mut(row).unwrap() = 0;
            table.give_back(row, |v| *v == 0);
        }
        let folder = &table.folders[0];
        assert!(Arc::ptr_eq(&folder[1], &folder[2]) && !Arc::ptr_eq(&folder[0], &folder[1]));
        *table.get_mut(130).unwrap() = 9;
        assert_eq!(
            [table.get(130), table.get(258), table.get(0), table.get(384)],
            [Some(&9), Some(&0), Some(&1), Some(&385)]
        );
    }
}
