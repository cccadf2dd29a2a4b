//! Where our words meet other people's: `alignments.yaml`, resolved.

use crate::load::Gathered;
use crate::model::{Alignment, Ontology};
use crate::problems::{Report, meant};
use oxrdf::NamedNode;

/// Says what the words of a vocabulary begin with; no word of ours is called so.
const IRI: &str = "iri";

/// Resolves alignments: ours are classes, relations and attributes; theirs are taken as written.
pub(crate) fn resolve(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    for (vocabulary, ours, theirs) in all.alignments.iter().filter(|(_, ours, _)| ours.value == IRI) {
        let Some(iri) =
            theirs.first().filter(|w| theirs.len() == 1 && NamedNode::new(w.value.as_str()).is_ok())
        else {
            let hint = "write what the vocabulary's words begin with, such as \"http://www.w3.org/ns/prov#\"";
            report.add(ours.at, &ours.value, "this is not the IRI of a vocabulary", hint);
            continue;
        };
        let before = o.vocabularies.insert(vocabulary.value.clone(), iri.value.clone());
        if let Some(before) = before.filter(|b| *b != iri.value) {
            let message = format!("the words of {} already begin with {before}", vocabulary.value);
            report.add(iri.at, &iri.value, message, "leave `iri` out: a file may add, not change");
        }
    }
    for (vocabulary, ours, theirs) in all.alignments.iter().filter(|(_, ours, _)| ours.value != IRI) {
        let attr = |name: &str| o.attrs.iter().any(|a| a.name == name);
        if o.class(&ours.value).is_none() && o.relation(&ours.value).is_none() && !attr(&ours.value) {
            let classes_and_relations = o.class_by_name.keys().chain(o.relation_by_name.keys());
            let known = classes_and_relations.chain(o.attrs.iter().map(|a| &a.name)).map(String::as_str);
            let message = "no class, relation or attribute has this name";
            report.unknown(ours.at, &ours.value, message, meant(&ours.value, known));
        }
        if let Some(iri) = o.vocabularies.get(&vocabulary.value) {
            for word in theirs.iter().filter(|w| NamedNode::new(format!("{iri}{}", w.value)).is_err()) {
                let message = format!("{iri}{} is not an IRI", word.value);
                report.add(word.at, &word.value, message, "write the word as their vocabulary spells it");
            }
        }
        let theirs = theirs.iter().map(|w| w.value.clone()).collect();
        o.alignments.push(Alignment {
            vocabulary: vocabulary.value.clone(),
            ours: ours.value.clone(),
            theirs,
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{SourceFile, load};

    fn problems(text: &str) -> String {
        let file = SourceFile { name: "site.alignments.yaml".to_owned(), text: text.to_owned() };
        load(&[file]).map_or_else(|p| p.to_string(), |_| String::new())
    }

    #[test]
    fn what_cannot_be_a_word_of_either_side_is_found() {
        for (text, wanted) in [
            (
                "prov: {Servise: Entity}",
                "no class, relation or attribute has this name; did you mean `Service`?",
            ),
            (
                "prov: {iri: \"https://elsewhere.example/\"}",
                "the words of prov already begin with http://www.w3.org/ns/prov#",
            ),
            ("mine: {iri: \"not an iri\"}", "this is not the IRI of a vocabulary"),
            ("prov: {Service: \"an agent\"}", "http://www.w3.org/ns/prov#an agent is not an IRI"),
        ] {
            let found = problems(text);
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn a_site_may_align_to_a_vocabulary_of_its_own() {
        assert_eq!(
            problems("mine: {iri: \"https://example.org/words#\", Service: [app, program], name: title}"),
            ""
        );
    }
}
