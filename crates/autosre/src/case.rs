//! What every expert is given: the view, the question, and the localised loss.

use crate::backend::Backend;
use crate::finding::{Ask, ChartQuery, People, Task};
use crate::loss::Loss;
use crate::question::Question;
use crate::scan::Element;
use crate::vocabulary::Vocabulary;
use crate::windows::Pair;
use graph::NodeId;
use ontology::{MeasureId, Stretch};
use query::View;
use query::text::Show;

/// One investigation.
#[derive(Clone)]
pub struct Case<'a> {
    /// The graph at the moment asked about.
    pub view: &'a View<'a>,
    /// The core names.
    pub vocabulary: &'a Vocabulary,
    /// The question.
    pub question: &'a Question,
    /// What is lost, by whom.
    pub loss: &'a Loss,
    /// The element of the loss that is being explained: the one that tells most.
    pub element: &'a Element,
    /// The same as people.
    pub people: &'a People,
    /// On what.
    pub subjects: &'a [NodeId],
    /// Before and since.
    pub windows: Pair,
    /// What stands behind the subjects, when traces say so.
    pub(crate) backend: Option<&'a Backend>,
    /// What this expert is asked to do.
    pub task: Task,
}

impl Case<'_> {
    /// The measure that regressed.
    pub fn measure(&self) -> MeasureId {
        self.loss.table.measure
    }

    /// The subject, when it is one.
    pub fn subject(&self) -> Option<NodeId> {
        match self.subjects {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The statistic that comparisons of this measure use.
    pub fn show(&self) -> Show {
        if self.loss.table.ratio { Show::Ratio } else { Show::Geomean }
    }

    /// Asks the regressed measure of some people in a stretch.
    pub fn ask<'p>(&self, people: &'p People, during: Stretch) -> Ask<'p> {
        Ask {
            measure: self.measure(),
            subject: self.subject(),
            people,
            except: None,
            during,
            show: Some(self.show()),
        }
    }

    /// From the start of the healthy stretch to the end of the degraded one.
    pub fn whole(&self) -> Stretch {
        Stretch {
            from: self.windows.healthy.from.min(self.windows.degraded.from),
            to: self.windows.degraded.to,
        }
    }

    /// Minutes per point of a chart over the whole: some forty points.
    pub fn grain(&self) -> i64 {
        let whole = self.whole();
        ((whole.to.minute().0 - whole.from.minute().0) / 40).max(1)
    }

    /// The chart of an ask over the whole.
    pub fn chart(&self, name: &str, ask: &Ask<'_>) -> ChartQuery {
        ask.chart(self.view, name, self.whole(), self.grain())
    }

    /// Name of a measure.
    pub fn measure_name(&self, measure: MeasureId) -> &str {
        self.view.measure(measure).map_or("?", |m| m.name.as_str())
    }
}
