//! The text that Prometheus scrapes: its own format 0.0.4 and OpenMetrics 1.0, which ends in `# EOF` and counts time in seconds.
//!
//! A body may begin with a line `# TARGET {job="node",instance="10.0.0.7:9100"}`, a comment to everyone else: whoever scraped
//! says of whom. These labels are added to every series; a label of the same name that the target gave is told as
//! `exported_<name>`, as Prometheus does.

use crate::Malformed;
use crate::otlp::Sink;
use crate::prometheus::{Assembler, Kind, Sample, Series, number};
use ontology::Time;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// Labels of one series. Beyond: its line is set aside.
const LABELS: usize = 128;

type Pair<'b> = (Cow<'b, str>, Cow<'b, str>);

/// One line with a value.
#[derive(Debug)]
struct Line<'b> {
    name: Cow<'b, str>,
    labels: Vec<Pair<'b>>,
    kind: Kind,
    unit: &'b str,
    value: f64,
    /// As written, in milliseconds or seconds.
    time: Option<f64>,
}

/// A body taken apart.
#[derive(Debug, Default)]
pub(crate) struct Page<'b> {
    lines: Vec<Line<'b>>,
    bad: Vec<String>,
    /// How long a unit of time is.
    in_seconds: bool,
}

/// Takes a body apart.
pub(crate) fn parse(body: &[u8]) -> Result<Page<'_>, Malformed> {
    let mut page = Page::default();
    let mut families: FxHashMap<&str, (Kind, &str)> = FxHashMap::default();
    let mut target: Vec<Pair<'_>> = Vec::new();
    for (place, line) in body.split(|b| *b == b'\n').enumerate() {
        let read = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned()).and_then(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line).trim_matches([' ', '\t']);
            if let Some(comment) = line.strip_prefix('#') {
                return comment_line(comment, place == 0, &mut families, &mut target, &mut page.in_seconds);
            }
            if line.is_empty() {
                return Ok(());
            }
            let mut sample = sample_line(line)?;
            (sample.kind, sample.unit) = family(&sample.name, &families);
            label(&mut sample.labels, &target);
            page.lines.push(sample);
            Ok(())
        });
        if let Err(why) = read {
            page.bad.push(format!("line {}: {why}", place + 1));
        }
    }
    match page.bad.first() {
        Some(why) if page.lines.is_empty() => {
            Err(Malformed { message: format!("this is not text of Prometheus or OpenMetrics: {why}") })
        }
        _ => Ok(page),
    }
}

/// Tells what a page says; what has no time of its own is of `at`.
pub(crate) fn tell<'a>(page: &'a Page<'_>, at: Time, sink: &mut impl Sink<'a>) {
    sink.resource(None);
    sink.resource_done();
    sink.scope();
    let now = at.nanos() / 1_000_000;
    let mut all = Assembler::default();
    for line in &page.lines {
        let labels = line.labels.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        let (name, unit) = (line.name.as_bytes(), line.unit.as_bytes());
        let mut series = Series { name, labels, kind: line.kind, unit };
        series.sort();
        #[expect(clippy::cast_possible_truncation, reason = "saturating by definition of `as`")]
        let time = line.time.map_or(now, |t| (if page.in_seconds { t * 1e3 } else { t }) as i64);
        all.sample(&series, Sample { value: line.value, time, start: 0 }, sink);
    }
    all.finish(sink);
    for why in &page.bad {
        sink.begin();
        sink.unreadable(why.clone());
    }
}

fn comment_line<'b>(
    comment: &'b str,
    first: bool,
    families: &mut FxHashMap<&'b str, (Kind, &'b str)>,
    target: &mut Vec<Pair<'b>>,
    in_seconds: &mut bool,
) -> Result<(), String> {
    let comment = comment.trim_start();
    if let Some(labels) = comment.strip_prefix("TARGET ").filter(|_| first) {
        let mut rest = labels;
        let (name, labels) = braces(&mut rest)?;
        if name.is_some() {
            return Err("a target has labels and no name".to_owned());
        }
        *target = labels;
        return Ok(());
    }
    if comment == "EOF" {
        *in_seconds = true;
        return Ok(());
    }
    let mut words = comment.splitn(3, [' ', '\t']);
    let (Some(what @ ("TYPE" | "UNIT")), Some(name), Some(value)) =
        (words.next(), words.next(), words.next())
    else {
        return Ok(());
    };
    let family = families.entry(name).or_default();
    if what == "UNIT" {
        family.1 = value.trim();
        return Ok(());
    }
    family.0 = match value.trim() {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "gaugehistogram" => Kind::GaugeHistogram,
        "summary" => Kind::Summary,
        "info" | "stateset" => Kind::State,
        "untyped" | "unknown" => Kind::Unknown,
        other => return Err(format!("`{}` is no type of a metric", shortened(other))),
    };
    Ok(())
}

/// The family that a series belongs to: of its own name, or of its name without what its type adds.
fn family<'b>(name: &str, families: &FxHashMap<&'b str, (Kind, &'b str)>) -> (Kind, &'b str) {
    if let Some(known) = families.get(name) {
        return *known;
    }
    for (suffix, kinds) in [
        ("_total", &[Kind::Counter][..]),
        ("_bucket", &[Kind::Histogram, Kind::GaugeHistogram]),
        ("_count", &[Kind::Histogram, Kind::Summary]),
        ("_sum", &[Kind::Histogram, Kind::Summary]),
        ("_gcount", &[Kind::GaugeHistogram]),
        ("_gsum", &[Kind::GaugeHistogram]),
        ("_info", &[Kind::State]),
    ] {
        let known = name.strip_suffix(suffix).and_then(|base| families.get(base));
        if let Some(known) = known.filter(|k| kinds.contains(&k.0)) {
            return *known;
        }
    }
    // When what it counts began is a level, whatever its family is.
    (if name.ends_with("_created") { Kind::Gauge } else { Kind::Unknown }, "")
}

fn label<'b>(own: &mut Vec<Pair<'b>>, target: &[Pair<'b>]) {
    for (name, value) in target {
        let mut taken = name.to_string();
        while own.iter().any(|l| l.0 == taken.as_str()) {
            taken.insert_str(0, "exported_");
        }
        if let Some(given) = own.iter_mut().find(|l| l.0 == *name) {
            given.0 = Cow::Owned(taken);
        }
        own.push((name.clone(), value.clone()));
    }
}

fn sample_line(line: &str) -> Result<Line<'_>, String> {
    let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    let mut name = Cow::Borrowed(name);
    let mut labels = Vec::new();
    if rest.starts_with('{') {
        let (quoted, found) = braces(&mut rest)?;
        labels = found;
        match quoted {
            Some(quoted) if name.is_empty() => name = quoted,
            Some(_) => return Err("it has two names".to_owned()),
            None => {}
        }
    }
    if name.is_empty() {
        return Err(format!("`{}` has no name of a metric", shortened(line)));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if !line.starts_with('{') && !name.chars().all(plain) {
        return Err(format!(
            "`{}` is no name of a metric; other names are written {{\"name\"}}",
            shortened(&name)
        ));
    }
    // An exemplar, which has nothing to tell here.
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let mut words = rest.split_ascii_whitespace();
    let told = words.next().ok_or_else(|| format!("{} has no value", shortened(&name)))?;
    let value = number(told.as_bytes())
        .ok_or_else(|| format!("`{}` is no number, and {} wants one", shortened(told), shortened(&name)))?;
    let time = match words.next() {
        None => None,
        Some(word) => match number(word.as_bytes()).filter(|t| t.is_finite()) {
            Some(t) => Some(t),
            None => return Err(format!("`{}` is no timestamp", shortened(word))),
        },
    };
    if let Some(more) = words.next() {
        return Err(format!("`{}` follows where the line should end", shortened(more)));
    }
    Ok(Line { name, labels, kind: Kind::Unknown, unit: "", value, time })
}

/// Labels in braces, and the name when it stands among them; `rest` begins with `{` and is left after `}`.
fn braces<'b>(rest: &mut &'b str) -> Result<(Option<Cow<'b, str>>, Vec<Pair<'b>>), String> {
    let mut labels: Vec<Pair<'b>> = Vec::new();
    let mut name = None;
    let mut at = rest.strip_prefix('{').ok_or("`{` is wanted before labels")?.trim_start();
    loop {
        if let Some(after) = at.strip_prefix('}') {
            *rest = after;
            return Ok((name, labels));
        }
        let in_quotes = at.starts_with('"');
        let key = if in_quotes {
            quoted(&mut at)?
        } else {
            let end = at.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(at.len());
            let (key, after) = at.split_at(end);
            if key.is_empty() {
                return Err(format!("`{}` is no label; write name=\"value\"", shortened(at)));
            }
            at = after;
            Cow::Borrowed(key)
        };
        at = at.trim_start();
        if let Some(after) = at.strip_prefix('=') {
            at = after.trim_start();
            let value = quoted(&mut at)?;
            if labels.iter().any(|l| l.0 == key) {
                return Err(format!("the label {} stands there twice", shortened(&key)));
            }
            if labels.len() == LABELS {
                return Err(format!("more than {LABELS} labels"));
            }
            labels.push((key, value));
        } else if in_quotes && name.is_none() && labels.is_empty() {
            name = Some(key);
        } else {
            return Err(format!("the label {} has no value", shortened(&key)));
        }
        at = at.trim_start();
        match at.strip_prefix(',') {
            Some(after) => at = after.trim_start(),
            None if at.starts_with('}') => {}
            None => return Err("`,` or `}` is wanted after a label".to_owned()),
        }
    }
}

/// Text in quotes, in which `\"`, `\\` and `\n` stand for what they do in C.
fn quoted<'b>(at: &mut &'b str) -> Result<Cow<'b, str>, String> {
    let inside = at.strip_prefix('"').ok_or("a value in quotes is wanted here")?;
    let mut owned = String::new();
    let mut from = 0;
    let mut bytes = inside.bytes().enumerate();
    while let Some((i, b)) = bytes.next() {
        let piece = || inside.get(from..i).unwrap_or_default();
        match b {
            b'"' => {
                *at = inside.get(i + 1..).unwrap_or_default();
                return Ok(if from == 0 { Cow::Borrowed(piece()) } else { Cow::Owned(owned + piece()) });
            }
            b'\\' => {
                owned.push_str(piece());
                match bytes.next() {
                    Some((_, b'n')) => owned.push('\n'),
                    Some((_, b'\\')) => owned.push('\\'),
                    Some((_, b'"')) => owned.push('"'),
                    _ => return Err("`\\` stands before something other than n, \\ and \"".to_owned()),
                }
                from = i + 2;
            }
            _ => {}
        }
    }
    Err("a quote is not closed".to_owned())
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(60).and_then(|(i, _)| text.get(..i)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::tests::Told;
    use proptest::prelude::*;

    fn told(body: &str) -> Vec<String> {
        let page = match parse(body.as_bytes()) {
            Ok(page) => page,
            Err(e) => return vec![format!("malformed: {e}")],
        };
        let mut sink = Told::default();
        tell(&page, Time::from_secs(9), &mut sink);
        sink.lines
    }

    #[test]
    fn the_text_of_prometheus_is_read_with_its_types_times_and_escapes() {
        let body = r#"# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="C:\\a\"b\n"} 1027 1395066363000
http_requests_total{code="500",} 3 1395066363000
# TYPE odd counter
odd 4
temperature_celsius -3.5e1
nothing NaN
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 5
took_seconds_bucket{le="+Inf"} 7
took_seconds_sum 1.5
took_seconds_count 7
"#;
        assert_eq!(
            told(body),
            [
                "http_requests_total{code=200,path=C:\\a\"b\n} [] grows 1027 at 1395066363000",
                "http_requests_total{code=500} [] grows 3 at 1395066363000",
                "odd{} [] grows 4 at 9000",
                "temperature_celsius{} [] level -35 at 9000",
                "nothing{} [] level NaN at 9000",
                "took_seconds{} [s] grows 7 sum Some(1.5) [5, 2] at [0.1] at 9000",
            ]
        );
    }

    #[test]
    fn openmetrics_counts_time_in_seconds_and_has_units_exemplars_and_quoted_names() {
        let body = "# TYPE sent counter\n# UNIT sent bytes\nsent_total{to=\"a\"} 17 1520879607.789 # {id=\"x\"} 0.67\n\
            sent_created{to=\"a\"} 1.5e9\n{\"my.metric\",\"a.b\"=\"c\"} 1\n# EOF\n";
        assert_eq!(
            told(body),
            [
                "sent_total{to=a} [By] grows 17 at 1520879607789",
                "sent_created{to=a} [] level 1500000000 at 9000",
                "my.metric{a.b=c} [] level 1 at 9000",
            ]
        );
    }

    #[test]
    fn the_labels_of_the_target_win_and_its_own_are_kept_beside_them() {
        let body = "# TARGET {job=\"node\",instance=\"h:9100\"}\nup 1\nx{instance=\"mine\",a=\"b\"} 2\n";
        assert_eq!(
            told(body),
            [
                "up{instance=h:9100,job=node} [] level 1 at 9000",
                "x{a=b,exported_instance=mine,instance=h:9100,job=node} [] level 2 at 9000",
            ]
        );
    }

    #[test]
    fn a_broken_line_does_not_hide_its_neighbours_and_a_page_of_them_is_refused() {
        for (line, why) in [
            ("a{b=\"c} 1", "a quote is not closed"),
            ("a{b=\"c\"", "`,` or `}` is wanted"),
            ("a{b=\"c\",b=\"d\"} 1", "the label b stands there twice"),
            ("a{b} 1", "the label b has no value"),
            ("a{\"b\"} 1", "it has two names"),
            ("a{=\"c\"} 1", "is no label"),
            ("a{b=\"\\x\"} 1", "stands before something"),
            ("a", "a has no value"),
            ("a one", "`one` is no number"),
            ("a infinity", "is no number"),
            ("a 1 soon", "`soon` is no timestamp"),
            ("a 1 2 3", "`3` follows where the line should end"),
            ("a-b 1", "`a-b` is no name of a metric"),
            ("# TYPE a furlong", "`furlong` is no type"),
        ] {
            let lines = told(&format!("good 1\n{line}\nbetter 2\n"));
            assert_eq!(lines.len(), 3, "{line}: {lines:?}");
            assert!(lines[2].contains("unreadable: line 2: ") && lines[2].contains(why), "{line}: {lines:?}");
        }
        assert!(told("<html><body>not found</body></html>")[0].starts_with("malformed: this is not text of"));
        assert_eq!(told(""), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(page) = parse(&body) {
                tell(&page, Time::from_secs(9), &mut Told::default());
            }
        }

        #[test]
        fn whatever_text_comes_is_read_or_refused(body in "[a-z{}\"=,# \\\\\n0-9]{0,120}") {
            if let Ok(page) = parse(body.as_bytes()) {
                tell(&page, Time::from_secs(9), &mut Told::default());
            }
        }
    }
}
