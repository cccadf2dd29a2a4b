//! Lines of StatsD, with what DogStatsD added: tags, several values, distributions, events and service checks.
//!
//! A body is the datagrams that came together, joined by line ends. Nothing in them says that a line is the same one again, so its
//! place in the body does: two equal lines are two happenings. Fields of the protocol that are no tags become attributes
//! of these names: `container_id`, and of events and checks `title`, `text`, `host`, `priority`, `alert_type`,
//! `aggregation_key`, `source_type_name`, `check`, `status`, `message`.

use crate::Malformed;
use crate::otlp::{Id, Level, LogHead, MetricHead, Point, Raw, Reading, Sink, Temporality};
use ontology::Time;

/// Values in one line. Beyond: the line is set aside. A datagram of 64 KB can hold no more.
const VALUES: usize = 32_768;
/// A sampled line stands for at most so many.
const MOST: f64 = 1e9;

/// Severities of OpenTelemetry's log records.
const INFO: i64 = 9;
const WARN: i64 = 13;
const ERROR: i64 = 17;

/// Reads a body; what has no time of its own is of `at`.
pub(crate) fn read<'a>(body: &'a [u8], at: Time, sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let now = u64::try_from(at.nanos()).unwrap_or(0);
    sink.resource(None);
    sink.resource_done();
    sink.scope();
    let (mut good, mut bad) = (0_usize, None);
    for (place, line) in body.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let read = if line.starts_with(b"_e{") {
            event(line, place, now, sink)
        } else if line.starts_with(b"_sc|") {
            check(line, place, now, sink)
        } else {
            metric(line, place, now, sink)
        };
        match read {
            Ok(()) => good += 1,
            Err(why) => {
                let why = format!("line {}: {why}", place + 1);
                bad.get_or_insert_with(|| why.clone());
                sink.begin();
                sink.unreadable(why);
            }
        }
    }
    match bad {
        Some(why) if good == 0 => Err(Malformed { message: format!("these are no lines of StatsD: {why}") }),
        _ => Ok(()),
    }
}

/// What follows a value: how much of it was sent, its tags, its container, its time.
#[derive(Default)]
struct More<'a> {
    rate: Option<f64>,
    tags: &'a [u8],
    container: &'a [u8],
    secs: Option<u64>,
}

fn split(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let i = line.iter().position(|b| *b == at)?;
    Some((line.get(..i)?, line.get(i + 1..)?))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned()
}

fn number(bytes: &[u8]) -> Result<f64, String> {
    let plain = bytes.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    let number = std::str::from_utf8(bytes).ok().filter(|_| plain).and_then(|t| t.parse::<f64>().ok());
    number.filter(|n| n.is_finite()).ok_or_else(|| format!("`{}` is no number", shown(bytes)))
}

fn secs(bytes: &[u8]) -> Result<u64, String> {
    let number = std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok());
    number.ok_or_else(|| format!("`{}` is no time in seconds since 1970", shown(bytes)))
}

fn more(rest: &[u8]) -> Result<More<'_>, String> {
    let mut more = More::default();
    for part in rest.split(|b| *b == b'|') {
        match part {
            [b'@', rate @ ..] => {
                let rate = number(rate)?;
                if !(rate > 0.0 && rate <= 1.0) {
                    return Err(format!("its sample rate is {rate}, and is more than 0 and at most 1"));
                }
                more.rate = Some(rate);
            }
            [b'#', tags @ ..] => more.tags = tags,
            [b'c', b':', container @ ..] => more.container = container,
            [b'T', time @ ..] => more.secs = Some(secs(time)?),
            // Later versions add parts (`e:`, `card:`), which say nothing that is read here.
            _ => {}
        }
    }
    Ok(more)
}

/// Tells of an item's tags, and what makes it another than an equal one.
fn begin<'a>(place: i64, value: usize, tags: &'a [u8], container: &'a [u8], sink: &mut impl Sink<'a>) {
    sink.begin();
    sink.attribute(Level::Item, b"", u32::try_from(value).unwrap_or(u32::MAX), Raw::Int(place));
    if !container.is_empty() {
        sink.attribute(Level::Item, b"container_id", 0, Raw::Text(container));
    }
    for tag in tags.split(|b| *b == b',').filter(|t| !t.is_empty()) {
        let (key, value) = split(tag, b':').unwrap_or((tag, b"true"));
        sink.attribute(Level::Item, key, 0, Raw::Text(value));
    }
}

fn metric<'a>(line: &'a [u8], place: i64, now: u64, sink: &mut impl Sink<'a>) -> Result<(), String> {
    let wanted = || format!("`{}` is not name:value|type", shown(line));
    let (front, rest) = split(line, b'|').ok_or_else(wanted)?;
    let (name, values) = split(front, b':').ok_or_else(wanted)?;
    if name.is_empty() || values.is_empty() {
        return Err(wanted());
    }
    let (kind, rest) = split(rest, b'|').unwrap_or((rest, b""));
    let more = more(rest)?;
    let time = more.secs.map_or(now, |s| s.saturating_mul(1_000_000_000));
    let delta = Temporality::Delta;
    let (unit, temporality, monotonic): (&[u8], _, _) = match kind {
        b"c" => (b"", delta, true),
        b"g" => (b"", Temporality::None, false),
        b"ms" => (b"ms", delta, false),
        b"h" | b"d" => (b"", delta, false),
        b"s" => {
            sink.begin();
            sink.in_part("set of StatsD, whose members are not kept", shown(name));
            return Ok(());
        }
        other => {
            return Err(format!(
                "the type of {} is `{}`, and there are c g ms h d s",
                shown(name),
                shown(other)
            ));
        }
    };
    let values: Vec<&[u8]> = values.split(|b| *b == b':').collect();
    if values.len() > VALUES {
        return Err(format!("{} has more than {VALUES} values", shown(name)));
    }
    let numbers: Vec<f64> = values.iter().map(|v| number(v)).collect::<Result<_, _>>()?;
    let stands_for = more.rate.map_or(1.0, |r| (1.0 / r).min(MOST));
    for (i, (value, written)) in numbers.into_iter().zip(values).enumerate() {
        let change = kind == b"g" && matches!(written.first(), Some(b'+' | b'-'));
        if change {
            sink.begin();
            sink.in_part("gauge told as a change, whose value before is not known", shown(name));
            continue;
        }
        begin(place, i, more.tags, more.container, sink);
        let reading = match kind {
            b"c" => Reading::Float(value * stands_for),
            b"g" => Reading::Float(value),
            _ => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
                let count = stands_for.round() as u64;
                let sum = Some(value * count as f64);
                Reading::Histogram {
                    count,
                    sum,
                    counts: Vec::new(),
                    bounds: Vec::new(),
                    min: Some(value),
                    max: Some(value),
                }
            }
        };
        let head = MetricHead { name, unit, temporality, monotonic: monotonic && value >= 0.0 };
        sink.point(&head, &Point { start: 0, time, flags: 0, reading });
    }
    Ok(())
}

fn log<'a>(name: &'a [u8], severity: i64, time: u64, sink: &mut impl Sink<'a>) {
    let head = LogHead { time, severity, event_name: name, trace: Id::None, ..LogHead::EMPTY };
    sink.log(&head);
}

/// `_e{title length,text length}:title|text|d:time|h:host|p:priority|t:alert type|k:key|s:source|#tags`
fn event<'a>(line: &'a [u8], place: i64, now: u64, sink: &mut impl Sink<'a>) -> Result<(), String> {
    let wanted = || format!("`{}` is not _e{{length,length}}:title|text", shown(line));
    let rest = line.strip_prefix(b"_e{").ok_or_else(wanted)?;
    let (lengths, rest) = split(rest, b'}').ok_or_else(wanted)?;
    let (title, text) = split(lengths, b',').ok_or_else(wanted)?;
    let length = |b: &[u8]| std::str::from_utf8(b).ok().and_then(|t| t.parse::<usize>().ok());
    let (title, text) = length(title).zip(length(text)).ok_or_else(wanted)?;
    let rest = rest.strip_prefix(b":").ok_or_else(wanted)?;
    let short = || format!("its lengths are {title} and {text}, and its text is shorter");
    let (title, rest) = rest.split_at_checked(title).ok_or_else(short)?;
    let rest = rest.strip_prefix(b"|").ok_or_else(wanted)?;
    let (text, rest) = rest.split_at_checked(text).ok_or_else(short)?;
    if !rest.is_empty() && !rest.starts_with(b"|") {
        return Err(format!("its text is longer than it says, and `{}` is left", shown(rest)));
    }
    let more = more(rest)?;
    let (mut time, mut severity) = (now, INFO);
    begin(place, 0, more.tags, more.container, sink);
    sink.attribute(Level::Item, b"title", 0, Raw::Text(title));
    sink.attribute(Level::Item, b"text", 0, Raw::Text(text));
    for part in rest.split(|b| *b == b'|') {
        let (key, value): (&[u8], _) = match part {
            [b'd', b':', at @ ..] => {
                time = secs(at)?.saturating_mul(1_000_000_000);
                continue;
            }
            [b'h', b':', value @ ..] => (b"host", value),
            [b'p', b':', value @ ..] => (b"priority", value),
            [b'k', b':', value @ ..] => (b"aggregation_key", value),
            [b's', b':', value @ ..] => (b"source_type_name", value),
            [b't', b':', value @ ..] => {
                severity = match value {
                    b"error" => ERROR,
                    b"warning" => WARN,
                    _ => INFO,
                };
                (b"alert_type", value)
            }
            _ => continue,
        };
        sink.attribute(Level::Item, key, 0, Raw::Text(value));
    }
    log(b"statsd.event", severity, time, sink);
    Ok(())
}

/// `_sc|name|status|d:time|h:host|#tags|m:message`
fn check<'a>(line: &'a [u8], place: i64, now: u64, sink: &mut impl Sink<'a>) -> Result<(), String> {
    let wanted = || format!("`{}` is not _sc|name|status", shown(line));
    let (name, rest) = line.strip_prefix(b"_sc|").and_then(|r| split(r, b'|')).ok_or_else(wanted)?;
    let (status, rest) = split(rest, b'|').unwrap_or((rest, b""));
    let severity = match status {
        b"0" => INFO,
        b"1" => WARN,
        b"2" => ERROR,
        b"3" => INFO,
        other => {
            return Err(format!("the status of {} is `{}`, and there are 0 to 3", shown(name), shown(other)));
        }
    };
    // The message is last, and may hold anything.
    let found =
        rest.windows(2).enumerate().find(|(i, w)| *w == b"m:" && (*i == 0 || rest.get(i - 1) == Some(&b'|')));
    let (rest, message) = match found {
        Some((i, _)) => (rest.get(..i).unwrap_or_default(), rest.get(i + 2..).unwrap_or_default()),
        None => (rest, &[][..]),
    };
    let more = more(rest)?;
    let mut time = now;
    begin(place, 0, more.tags, more.container, sink);
    sink.attribute(Level::Item, b"check", 0, Raw::Text(name));
    sink.attribute(Level::Item, b"status", 0, Raw::Text(status));
    if !message.is_empty() {
        sink.attribute(Level::Item, b"message", 0, Raw::Text(message));
    }
    for part in rest.split(|b| *b == b'|') {
        match part {
            [b'd', b':', at @ ..] => time = secs(at)?.saturating_mul(1_000_000_000),
            [b'h', b':', host @ ..] => sink.attribute(Level::Item, b"host", 0, Raw::Text(host)),
            _ => {}
        }
    }
    log(b"statsd.check", severity, time, sink);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::tests::Told;
    use proptest::prelude::*;

    fn told(body: &str) -> Vec<String> {
        Told::of(|sink| read(body.as_bytes(), Time::from_secs(9), sink))
    }

    #[test]
    fn counters_gauges_and_timers_are_read_with_rates_tags_containers_and_times() {
        assert_eq!(
            told(
                "page.views:1|c\nsampled:2|c|@0.1|#env:prod,canary\nfuel:0.5|g|c:abc\n\
                 took:320|ms|@0.5|T1656581400\nsize:1:2|d|#a:b:c\n"
            ),
            [
                "page.views{=Int(0)} [] delta 1 at 9000",
                "sampled{=Int(1),env=prod,canary=true} [] delta 20 at 9000",
                "fuel{=Int(2),container_id=abc} [] level 0.5 at 9000",
                "took{=Int(3)} [ms] delta 2 sum Some(640.0) [] at [] at 1656581400000",
                "size{=Int(4),a=b:c} [] delta 1 sum Some(1.0) [] at [] at 9000",
                "size{=Int(4),a=b:c} [] delta 1 sum Some(2.0) [] at [] at 9000",
            ]
        );
    }

    #[test]
    fn what_cannot_be_added_up_is_said_in_part() {
        assert_eq!(
            told("users:765|s\nfuel:+4|g\nfuel:-4|g\n"),
            [
                "in part: set of StatsD, whose members are not kept: users",
                "in part: gauge told as a change, whose value before is not known: fuel",
                "in part: gauge told as a change, whose value before is not known: fuel",
            ]
        );
    }

    #[test]
    fn events_and_service_checks_are_log_records() {
        assert_eq!(
            told(
                "_e{5,10}:a|b c|gone | off|d:7|h:h1|t:error|#service:cart\n\
                 _sc|redis.up|2|d:8|h:h2|#env:prod|m:no | #answer\n"
            ),
            [
                "log statsd.event {=Int(0),service=cart,title=a|b c,text=gone | off,host=h1,alert_type=error} \
                 severity 17 at 7000000000",
                "log statsd.check {=Int(1),env=prod,check=redis.up,status=2,message=no | #answer,host=h2} \
                 severity 17 at 8000000000",
            ]
        );
    }

    #[test]
    fn a_broken_line_does_not_hide_its_neighbours_and_a_body_of_them_is_refused() {
        for (line, why) in [
            ("hello", "`hello` is not name:value|type"),
            (":1|c", "is not name:value|type"),
            ("a:1", "is not name:value|type"),
            ("a:one|c", "`one` is no number"),
            ("a:inf|g", "`inf` is no number"),
            ("a:1e999|g", "`1e999` is no number"),
            ("a:1|x", "the type of a is `x`"),
            ("a:1|c|@0", "its sample rate is 0"),
            ("a:1|c|@-1", "its sample rate is -1"),
            ("a:1|c|Tsoon", "`soon` is no time"),
            ("_e{99,1}:a|b", "its lengths are 99 and 1"),
            ("_e{18446744073709551615,1}:a|b", "its text is shorter"),
            ("_e{1,1}:a|bcd", "`cd` is left"),
            ("_e{1}:a|b", "is not _e{length,length}"),
            ("_sc|a|7", "the status of a is `7`"),
        ] {
            let lines = told(&format!("good:1|c\n{line}"));
            assert!(lines.len() == 2 && lines[1].starts_with("unreadable: line 2: "), "{line}: {lines:?}");
            assert!(lines[1].contains(why), "{line}: {lines:?}");
            assert!(told(line)[0].starts_with("malformed: these are no lines of StatsD: line 1"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, Time::from_secs(9), &mut Told::default());
        }

        #[test]
        fn whatever_text_comes_is_read_or_refused(body in "(_e\\{|_sc\\||a:)[a-z:|@#cgmshdT,{}0-9\n.]{0,60}") {
            let _ = read(body.as_bytes(), Time::from_secs(9), &mut Told::default());
        }
    }
}
