//! Syslog: RFC 5424, and the older form of RFC 3164 that many programs still write. Told as OpenTelemetry's data model maps
//! syslog: host and program are the resource, facility, process and structured data are attributes, the message is the body.

use crate::Malformed;
use crate::otlp::{Level, LogHead, Raw, Sink};
use ontology::Time;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// OpenTelemetry's severity numbers of syslog's severities, emergency to debug.
const SEVERITIES: [i64; 8] = [21, 19, 18, 17, 13, 10, 9, 5];
const WORDS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// `user.notice`, which RFC 3164 assumes of a message that does not say (4.3.3).
const UNSAID: usize = 13;
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// A clock without a zone is taken to show local time: from twelve hours behind UTC to fourteen ahead.
const ZONES: std::ops::RangeInclusive<i64> = -12 * 4..=14 * 4;
const QUARTER: i64 = 900;

/// Host and name.
type Program<'a> = (&'a [u8], &'a [u8]);

/// Messages, each with its length in bytes and a space before it.
pub(crate) fn read<'a>(body: &'a [u8], recorded: Time, sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    // A resource is told once for all of its messages.
    let mut programs: BTreeMap<Program<'a>, Vec<Result<Message<'a>, String>>> = BTreeMap::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (message, after) = frame(rest, body.len() - rest.len())?;
        rest = after;
        let parsed = parse(message, recorded);
        let program = parsed.as_ref().map(|m| (m.host, m.program)).unwrap_or_default();
        programs.entry(program).or_default().push(parsed);
    }
    let mut number = 0;
    for ((host, program), messages) in programs {
        sink.resource(None);
        for (key, value) in [("host.name", host), ("service.name", program)] {
            if !value.is_empty() {
                sink.attribute(Level::Resource, key.as_bytes(), 0, Raw::Text(value));
            }
        }
        sink.resource_done();
        sink.scope();
        for message in messages {
            sink.begin();
            match message {
                Ok(message) => {
                    // Nothing sends a message twice, and two may be alike: clocks of syslog show seconds.
                    let uid = number ^ recorded.nanos();
                    sink.attribute(Level::Item, b"log.record.uid", 0, Raw::Int(uid));
                    number += 1;
                    tell(message, sink);
                }
                Err(why) => sink.unreadable(why),
            }
        }
    }
    Ok(())
}

/// The first message of a body, and what follows it.
pub(crate) fn frame(body: &[u8], at: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let wrong = |what: &str| Malformed {
        message: format!(
            "byte {at} of the body should begin a syslog message with its length (RFC 6587): {what}"
        ),
    };
    let digits = body.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    let length =
        std::str::from_utf8(body.get(..digits).unwrap_or_default()).ok().and_then(|d| d.parse().ok());
    let length: usize = length.ok_or_else(|| wrong("there is no number"))?;
    let after =
        body.get(digits..).and_then(|b| b.strip_prefix(b" ")).ok_or_else(|| wrong("no space follows it"))?;
    after
        .split_at_checked(length)
        .ok_or_else(|| wrong(&format!("{length} bytes are more than {} left", after.len())))
}

#[derive(Debug, Default)]
struct Message<'a> {
    priority: usize,
    version: i64,
    time: u64,
    host: &'a [u8],
    program: &'a [u8],
    process: &'a [u8],
    id: &'a [u8],
    data: Vec<(String, Cow<'a, [u8]>)>,
    text: &'a [u8],
}

fn tell<'a>(m: Message<'a>, sink: &mut impl Sink<'a>) {
    let severity = m.priority % 8;
    sink.attribute(Level::Item, b"body", 0, Raw::Text(m.text));
    sink.attribute(Level::Item, b"syslog.facility", 0, Raw::Int(i64::try_from(m.priority / 8).unwrap_or(0)));
    if m.version > 0 {
        sink.attribute(Level::Item, b"syslog.version", 0, Raw::Int(m.version));
    }
    for (key, value) in [("syslog.procid", m.process), ("syslog.msgid", m.id)] {
        if !value.is_empty() {
            sink.attribute(Level::Item, key.as_bytes(), 0, Raw::Text(value));
        }
    }
    for (key, value) in m.data {
        match value {
            Cow::Borrowed(value) => sink.attribute(Level::Item, key.as_bytes(), 0, Raw::Text(value)),
            Cow::Owned(value) => {
                sink.own_text(Level::Item, key.as_bytes(), 0, String::from_utf8_lossy(&value).into_owned());
            }
        }
    }
    sink.log(&LogHead {
        time: m.time,
        severity: SEVERITIES.get(severity).copied().unwrap_or(0),
        severity_text: WORDS.get(severity).copied().unwrap_or_default().as_bytes(),
        ..LogHead::EMPTY
    });
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..80).unwrap_or(text)).into_owned()
}

fn parse(message: &[u8], recorded: Time) -> Result<Message<'_>, String> {
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let now = recorded.nanos().cast_unsigned();
    let Some((priority, rest)) = priority(message) else {
        return Ok(Message { priority: UNSAID, time: now, text: message, ..Message::default() });
    };
    match rest.strip_prefix(b"1 ") {
        Some(rest) => modern(priority, rest, now).map_err(|why| format!("{why} in `{}`", shown(message))),
        None => Ok(older(priority, rest, recorded)),
    }
}

/// `<0>` to `<191>`.
fn priority(message: &[u8]) -> Option<(usize, &[u8])> {
    let inner = message.strip_prefix(b"<")?;
    let end = inner.iter().take(4).position(|b| *b == b'>')?;
    let (digits, rest) = inner.split_at_checked(end)?;
    let number =
        std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    (number <= 191).then(|| (number, rest.get(1..).unwrap_or_default()))
}

/// A piece up to the next space, and what follows it; `-` stands for nothing.
fn piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
    let (piece, after) = rest.split_at_checked(end).unwrap_or_default();
    *rest = after.get(1..).unwrap_or_default();
    if piece == b"-" { &[] } else { piece }
}

/// RFC 5424, from after its version.
fn modern(priority: usize, mut rest: &[u8], now: u64) -> Result<Message<'_>, String> {
    let time = match piece(&mut rest) {
        [] => now,
        told => {
            moment(told).ok_or_else(|| format!("the time `{}` is not as RFC 5424 has it", shown(told)))?
        }
    };
    let host = piece(&mut rest);
    let program = piece(&mut rest);
    let process = piece(&mut rest);
    let id = piece(&mut rest);
    let mut data = Vec::new();
    if rest.starts_with(b"[") {
        rest = structured(rest, &mut data)?;
    } else {
        match piece(&mut rest) {
            [] => {}
            other => {
                return Err(format!(
                    "structured data, `-` or `[…]`, should stand where `{}` is",
                    shown(other)
                ));
            }
        }
    }
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let text = rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(rest);
    Ok(Message { priority, version: 1, time, host, program, process, id, data, text })
}

fn moment(text: &[u8]) -> Option<u64> {
    let time = Time::parse(std::str::from_utf8(text).ok()?).ok()?;
    u64::try_from(time.nanos()).ok()
}

/// `[id name="value" …][…]`; what follows it.
fn structured<'a>(mut rest: &'a [u8], into: &mut Vec<(String, Cow<'a, [u8]>)>) -> Result<&'a [u8], String> {
    let wrong = |what: &str, at: &[u8]| format!("{what} in the structured data at `{}`", shown(at));
    while let Some(inner) = rest.strip_prefix(b"[") {
        let end = inner
            .iter()
            .position(|b| matches!(b, b' ' | b']'))
            .ok_or_else(|| wrong("`]` is missing", inner))?;
        let (id, mut at) = inner.split_at_checked(end).unwrap_or_default();
        let id = String::from_utf8_lossy(id);
        loop {
            at = at.trim_ascii_start();
            if let Some(after) = at.strip_prefix(b"]") {
                rest = after;
                break;
            }
            let equals = at.iter().position(|b| *b == b'=').ok_or_else(|| wrong("`=` is missing", at))?;
            let (name, after) = at.split_at_checked(equals).unwrap_or_default();
            let value =
                after.strip_prefix(b"=\"").ok_or_else(|| wrong("a quoted value is missing", after))?;
            let mut end = 0;
            let mut escaped = false;
            loop {
                match value.get(end) {
                    Some(b'"') => break,
                    Some(b'\\') => {
                        escaped = true;
                        end += 2;
                    }
                    Some(_) => end += 1,
                    None => return Err(wrong("the end of a quoted value is missing", value)),
                }
            }
            let (value, after) = value.split_at_checked(end).unwrap_or_default();
            let value = if escaped { Cow::Owned(unescaped(value)) } else { Cow::Borrowed(value) };
            into.push((format!("syslog.{id}.{}", String::from_utf8_lossy(name)), value));
            at = after.get(1..).unwrap_or_default();
        }
    }
    Ok(rest)
}

/// A backslash before `"`, `\` or `]` is not meant; before anything else it is (6.3.3).
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        match bytes.peek() {
            Some(next @ (b'"' | b'\\' | b']')) if b == b'\\' => {
                out.push(*next);
                bytes.next();
            }
            _ => out.push(b),
        }
    }
    out
}

/// RFC 3164, from after its priority: `Nov 25 06:40:01 host program[12]: text`, where the time may be as in RFC 3339 and the
/// host may be left out.
fn older(priority: usize, text: &[u8], recorded: Time) -> Message<'_> {
    let mut m = Message { priority, time: recorded.nanos().cast_unsigned(), ..Message::default() };
    let mut rest = text;
    let first = piece(&mut rest);
    if let Some(at) = moment(first) {
        m.time = at;
    } else if let Some((at, after)) = clock(text, recorded) {
        m.time = at;
        rest = after;
    } else {
        m.text = text;
        return m;
    }
    let before = rest;
    let host = piece(&mut rest);
    if host.ends_with(b":") {
        rest = before;
    } else {
        m.host = host;
    }
    // At most 32 letters of RFC 3164; systems have longer names.
    let tag = rest.iter().take(128).position(|b| !(b.is_ascii_alphanumeric() || b"-_./".contains(b)));
    let (program, after) = rest.split_at_checked(tag.unwrap_or(0)).unwrap_or_default();
    let (process, after) = match after.strip_prefix(b"[") {
        Some(inner) => match inner.iter().take(32).position(|b| *b == b']') {
            Some(end) => (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default()),
            None => (&[][..], after),
        },
        None => (&[][..], after),
    };
    if let Some(text) = after.strip_prefix(b":").filter(|_| !program.is_empty()) {
        (m.program, m.process) = (program, process);
        rest = text.strip_prefix(b" ").unwrap_or(text);
    }
    m.text = rest;
    m
}

/// `Nov 25 06:40:01 `, which names neither year nor zone: the moment nearest to the arrival, with the zone that is a whole
/// number of quarter hours away from it. What follows it.
fn clock(text: &[u8], recorded: Time) -> Option<(u64, &[u8])> {
    let (told, after) = text.split_at_checked(15)?;
    let number = |from: usize, to: usize| -> Option<i64> {
        std::str::from_utf8(told.get(from..to)?).ok()?.trim_start().parse().ok()
    };
    let month = MONTHS.iter().position(|m| told.starts_with(m))? + 1;
    let (day, hour, minute, second) = (number(4, 6)?, number(7, 9)?, number(10, 12)?, number(13, 15)?);
    let year: i64 = recorded.to_string().get(..4)?.parse().ok()?;
    let arrived = recorded.secs();
    let read = |year: i64| {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        Time::parse(&text).ok().map(Time::secs)
    };
    let local =
        [year - 1, year, year + 1].into_iter().filter_map(read).min_by_key(|t| (t - arrived).abs())?;
    let quarters = (local - arrived + QUARTER / 2).div_euclid(QUARTER);
    let at = if ZONES.contains(&quarters) { local - quarters * QUARTER } else { local };
    let nanos = u64::try_from(at).ok()?.checked_mul(1_000_000_000)?;
    Some((nanos, after.strip_prefix(b" ").unwrap_or(after)))
}
