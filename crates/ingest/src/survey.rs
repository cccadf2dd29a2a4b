//! Looking at requests again for what no mapping reads: the same decoders and the same recognising as ever, and a surveyor beside
//! them that is told every name.

use crate::otlp::{Level, Raw};
use crate::recognise::Found;
use ontology::Reads;
use ontology::expr::Fields;
use ontology::survey::{MEMBERS, Member, Survey, Told};

/// Collects what the record being read says, and adds it to a survey when the record ends.
#[derive(Debug, Default)]
pub(crate) struct Surveyor {
    pub survey: Survey,
    resource: Vec<Member>,
    scope: Vec<Member>,
    item: Vec<Member>,
    event: Vec<Member>,
}

impl Surveyor {
    /// One that adds to this survey.
    pub(crate) fn of(survey: Survey) -> Surveyor {
        Surveyor { survey, ..Surveyor::default() }
    }

    fn members(&mut self, level: Level) -> &mut Vec<Member> {
        match level {
            Level::Resource | Level::Entity => &mut self.resource,
            Level::Scope => &mut self.scope,
            Level::Item => &mut self.item,
            Level::Event => &mut self.event,
        }
    }

    /// A resource, scope, item or event begins.
    pub(crate) fn begin(&mut self, level: Level) {
        match level {
            Level::Resource => [Level::Resource, Level::Scope, Level::Item, Level::Event].as_slice(),
            Level::Scope => [Level::Scope, Level::Item, Level::Event].as_slice(),
            Level::Item => [Level::Item, Level::Event].as_slice(),
            Level::Event => [Level::Event].as_slice(),
            Level::Entity => [].as_slice(),
        }
        .iter()
        .for_each(|l| self.members(*l).clear());
    }

    /// An attribute. What stands under an entity was told before as the resource's own.
    pub(crate) fn told(&mut self, level: Level, key: &[u8], value: Raw<'_>) {
        if level == Level::Entity {
            return;
        }
        let Ok(name) = std::str::from_utf8(key) else { return };
        // Members of a log's body are fields of the record; the body itself is text for people.
        let name = name.strip_prefix("body.").unwrap_or(name);
        if name == "body" {
            return;
        }
        let text = match value {
            Raw::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => return,
            },
            Raw::Int(i) => i.to_string(),
            Raw::Float(f) => f.to_string(),
            Raw::Bool(b) => b.to_string(),
        };
        let to = self.members(level);
        if to.len() <= MEMBERS {
            to.push(Member { name: name.to_owned(), text });
        }
    }

    /// A record of telemetry ends.
    pub(crate) fn record(
        &mut self,
        fields: &Fields,
        source: &str,
        reads: &Reads,
        found: &[Found],
        incomplete: &[(usize, usize)],
    ) {
        let members = match reads {
            Reads::Resource => self.resource.clone(),
            Reads::SpanEvent => self.event.clone(),
            _ => self.item.iter().chain(&self.scope).cloned().collect(),
        };
        self.add(fields, source, reads, &members, found, incomplete, false);
    }

    /// A record ends.
    #[expect(clippy::too_many_arguments, reason = "what a record said, and what became of it")]
    pub(crate) fn add(
        &mut self,
        fields: &Fields,
        source: &str,
        reads: &Reads,
        members: &[Member],
        found: &[Found],
        incomplete: &[(usize, usize)],
        whole: bool,
    ) {
        let found: Vec<(usize, usize)> =
            found.iter().map(|f| (usize::from(f.source), usize::from(f.table))).collect();
        self.survey.record(fields, source, reads, &Told { members, found: &found, incomplete, whole });
    }
}
