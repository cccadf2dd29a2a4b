//! Days to years, months, weeks and quarters, and back.

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970-01-01 of a date; its parts must be in range.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Monday is 1.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

pub(crate) fn day_of_year(at: i64) -> i64 {
    let (year, ..) = civil(at);
    at - days(year, 1, 1) + 1
}

/// First day of a year of ISO weeks.
pub(crate) fn week_year_start(year: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - (weekday(fourth) - 1)
}

/// ISO year and week.
pub(crate) fn week(at: i64) -> (i64, i64) {
    let (year, ..) = civil(at);
    let of = [year + 1, year, year - 1].into_iter().find(|y| at >= week_year_start(*y)).unwrap_or(year);
    (of, (at - week_year_start(of)) / 7 + 1)
}

/// First day of the quarter a day lies in.
pub(crate) fn quarter_start(at: i64) -> i64 {
    let (year, month, _) = civil(at);
    days(year, (month - 1) / 3 * 3 + 1, 1)
}

/// A date moved by months; a day that the month does not have becomes its last.
pub(crate) fn plus_months(at: i64, months: i64) -> i64 {
    let (year, month, day) = civil(at);
    let count = year.saturating_mul(12).saturating_add(month - 1).saturating_add(months);
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    days(year, month, day.min(days_in_month(year, month)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for at in [-365_243_219_162, -719_468, -1, 0, 59, 60, 19_000, 365_241_780_471] {
            let (y, m, d) = civil(at);
            assert_eq!(days(y, m, d), at);
        }
        assert_eq!(civil(0), (1970, 1, 1));
    }

    #[test]
    fn the_first_days_of_a_year_may_belong_to_the_last_week_of_the_year_before() {
        assert_eq!(week(days(1984, 1, 1)), (1983, 52));
        assert_eq!(week(days(1816, 12, 31)), (1817, 1));
    }
}
