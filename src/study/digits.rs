//! The sections on MNIST: the network and the update rules, the curves, the results, what the networks get wrong.

use super::found::Study;
use super::network::Layers;
use super::parts::{figure, heading, paragraph, section};
use super::{curves, results};
use crate::document::number::{exact, probability};
use crate::document::{Block, math, words};
use crate::draw::{ConfusionMatrix, DrawError};
use crate::report::{Content, Image, Part, Section};
use crate::runs::{Group, Mistake, Record, groups};

pub(super) fn sections(study: &Study<'_>) -> Result<Vec<Section>, DrawError> {
    let groups = groups(study.records);
    let setting = common(study.records.iter().map(|record| &record.setting[..]));
    Ok(vec![
        section("network", "A network that reads digits", network(study, &groups)),
        section("curves", "How it learns", learning(&groups, setting)),
        section("results", "What it reaches", reached(&groups, setting)),
        section("mistakes", "What it gets wrong", wrong(study, &groups)?),
    ])
}

/// What all have in common, or a word for that they do not.
fn common<'a>(mut texts: impl Iterator<Item = &'a str>) -> &'a str {
    let first = texts.next().unwrap_or_default();
    if texts.all(|text| text == first) { first } else { "several settings" }
}

/// How the figures of these groups were made: a command a group.
fn made_by(groups: &[Group<'_>]) -> Vec<(String, String)> {
    let records = || groups.iter().flat_map(|group| &group.records);
    let distinct = |of: &dyn Fn(&Record) -> String| {
        let mut texts: Vec<String> = Vec::new();
        for text in records().map(|record| of(record)) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts.join("; ")
    };
    let command = |group: &Group<'_>| {
        let first = group.records.first()?;
        Some(match (first.configured, group.records.len()) {
            (false, _) => format!("unknown for {}, as config.toml is missing", group.name),
            (true, 1) => first.options.command(),
            (true, _) => format!("{} (and the other seeds)", first.options.command()),
        })
    };
    let device = |record: &Record| {
        let device = match (&record.about.card, &record.summary) {
            (Some(card), _) => format!("{}, {card}", record.options.device),
            (None, Some(summary)) => format!("{}, {} threads", summary.device, summary.threads),
            (None, None) => record.options.device.to_string(),
        };
        let platform =
            record.about.platform.as_ref().map_or(String::new(), |platform| format!(", {platform}"));
        device + &platform
    };
    let version = |record: &Record| {
        format!("cotangent {}", record.about.version.as_deref().unwrap_or("of unknown version"))
    };
    // Runs that stand side by side are named by the folder that they are in.
    let folder = |record: &Record| match (records().count(), record.path.parent()) {
        (2.., Some(parent)) if !parent.as_os_str().is_empty() => format!("{}/…", parent.display()),
        _ => record.path.display().to_string(),
    };
    let commands: Vec<String> = groups.iter().filter_map(command).collect();
    vec![
        ("command".into(), commands.join("; ")),
        ("seed".into(), results::seeds(records().map(|record| record.options.seed))),
        ("device".into(), distinct(&device)),
        ("version".into(), distinct(&version)),
        ("run".into(), distinct(&folder)),
    ]
}

/// A group of one run of another.
fn alone<'a>(group: &Group<'a>, record: &'a Record) -> Group<'a> {
    Group { name: group.name.clone(), records: vec![record], repeated: Vec::new() }
}

fn of_runs(id: String, content: Content, caption: impl Into<String>, groups: &[Group<'_>]) -> Part {
    let made_by = made_by(groups);
    let made_by: Vec<(&str, &str)> = made_by.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    figure(id, content, caption, &made_by)
}

/// The groups with their names as they stand in links, no two alike.
fn linked<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<(String, &'g Group<'a>)> {
    let mut linked: Vec<(String, &Group<'a>)> = Vec::new();
    for group in groups {
        let plain = group.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let plain: String = plain.collect();
        let mut name = plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        if linked.iter().any(|(other, _)| *other == name) {
            name += &format!("-group-{}", linked.len() + 1);
        }
        linked.push((name, group));
    }
    linked
}

fn network(study: &Study<'_>, groups: &[Group<'_>]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut shown: Vec<&str> = Vec::new();
    for group in groups {
        let Some(record) = group.records.first().filter(|record| !shown.contains(&&record.setting[..]))
        else {
            continue;
        };
        let Some(layers) = Layers::of(record) else { continue };
        shown.push(&record.setting);
        let number = shown.len();
        let run = [alone(group, record)];
        parts.push(Part::Block(Block::Paragraph(layers.sentence())));
        let caption = "The network as a graph on one batch: images and hidden layers are rows of a matrix.";
        parts.push(of_runs(format!("network-{number}"), Content::Svg(layers.diagram().svg()), caption, &run));
        let caption = "The layers, and the objective that training makes small.";
        parts.push(of_runs(format!("layers-{number}"), Content::Formulas(layers.formulas()), caption, &run));
    }
    parts.push(heading("The runs"));
    parts.push(Part::Block(results::runs(groups)));
    parts.extend(notes(study, groups));
    parts.push(heading("The update rules"));
    parts.push(Part::Block(Block::Paragraph(vec![
        words("With "),
        math("g_t"),
        words(" the gradient of a batch's objective by a weight "),
        math(r"\theta"),
        words(" at step "),
        math("t"),
        words(", all operations entry by entry. The learning rate "),
        math(r"\alpha"),
        words(" follows the schedule of the run; its largest value is named below each rule."),
    ])));
    for (id, group) in linked(groups) {
        let Some(record) = group.records.first() else { continue };
        let (options, optimizer) = (&record.options, record.options.optimizer());
        let rate = match record.configured {
            true => format!("Largest learning rate {}, schedule {}.", exact(options.lr), options.schedule.name()),
            false => "Constants and learning rate of the run are unknown, as config.toml is missing; the rule is shown \
                      with its defaults."
                .into(),
        };
        let caption = format!("{}: {}. {rate}", group.name, optimizer.name().family().source);
        let formulas = Content::Formulas(optimizer.latex(options.weight_decay));
        parts.push(of_runs(format!("rule-{id}"), formulas, caption, std::slice::from_ref(group)));
    }
    parts
}

/// What a reader must know of the runs beside their numbers.
fn notes(study: &Study<'_>, groups: &[Group<'_>]) -> Vec<Part> {
    let of_records = study
        .records
        .iter()
        .flat_map(|record| record.notes.iter().map(|note| format!("{}: {note}.", record.path.display())));
    let repeated = groups.iter().flat_map(|group| {
        group.repeated.iter().map(|record| {
            let seed = record.options.seed;
            format!("{}: left out, as {} has another run of seed {seed}.", record.path.display(), group.name)
        })
    });
    let notes: Vec<String> = of_records.chain(repeated).chain(study.notes.iter().cloned()).collect();
    match notes.is_empty() {
        true => Vec::new(),
        false => {
            std::iter::once(heading("Notes on the runs")).chain(notes.into_iter().map(paragraph)).collect()
        }
    }
}

/// So many lines look different in a chart.
const LINES: usize = 8;

fn learning(groups: &[Group<'_>], setting: &str) -> Vec<Part> {
    let with_rows: Vec<Group<'_>> = groups
        .iter()
        .map(|group| Group {
            records: group.records.iter().copied().filter(|record| !record.rows.is_empty()).collect(),
            ..group.clone()
        })
        .filter(|group| !group.records.is_empty())
        .collect();
    let mut parts = Vec::new();
    // A line that is not there is missed by nobody who does not know of it.
    let without = groups.iter().filter(|group| with_rows.iter().all(|other| other.name != group.name));
    let (diverged, without): (Vec<_>, Vec<_>) =
        without.partition(|group| group.records.iter().any(|record| record.diverged.is_some()));
    for group in diverged.iter().chain(&without) {
        parts.push(paragraph(format!("{}: there is no curve, as no epoch was finished.", group.name)));
    }
    // What diverged at once is a mark.
    let marked: Vec<Group<'_>> = with_rows.iter().chain(diverged).cloned().collect();
    if marked.is_empty() {
        return vec![paragraph("No run holds an epoch, so there is no curve.")];
    }
    let id = |name: &str, number: usize| match number {
        0 => name.to_string(),
        _ => format!("{name}-{}", number + 1),
    };
    for (number, some) in marked.chunks(LINES).enumerate() {
        let caption = "The objective as training met it, batch by batch, the mean of each epoch.";
        let chart = Content::Chart(curves::objectives(some, setting));
        parts.push(of_runs(id("objective", number), chart, caption, some));
    }
    for (number, some) in with_rows.chunks(LINES).enumerate() {
        let caption = "The share of the test images that are classified as labelled, after each epoch. The test images \
                       chose nothing: what is reported of a run is its end.";
        let chart = Content::Chart(curves::accuracies(some, setting));
        parts.push(of_runs(id("accuracy", number), chart, caption, some));
    }
    if !with_rows.is_empty() {
        parts.push(heading("Each alone"));
    }
    for (id, group) in linked(&with_rows) {
        let both = [
            ("objective", curves::objective(group, setting)),
            ("accuracy", curves::accuracy(group, setting)),
        ];
        for (what, chart) in both {
            let caption = format!("Training and test {what} of {}.", group.name);
            let run = std::slice::from_ref(group);
            parts.push(of_runs(format!("{what}-of-{id}"), Content::Chart(chart), caption, run));
        }
    }
    parts
}

fn reached(groups: &[Group<'_>], setting: &str) -> Vec<Part> {
    let mut parts = vec![
        paragraph(
            "The test accuracy at the end of each run: the mean over the seeds, with the standard deviation of a sample \
             where there are several. Seconds are those of training, evaluation apart; those to 98% are the mean of the \
             runs that reach it.",
        ),
        Part::Block(results::table(groups)),
    ];
    for (number, some) in groups.chunks(LINES).enumerate() {
        if some.iter().flat_map(|group| &group.records).any(|record| !record.rows.is_empty()) {
            let id = if number == 0 { "seconds".to_string() } else { format!("seconds-{}", number + 1) };
            let caption = "The time that the training of each epoch took.";
            parts.push(of_runs(id, Content::Chart(curves::seconds(some, setting)), caption, some));
        }
    }
    parts
}

fn wrong(study: &Study<'_>, groups: &[Group<'_>]) -> Result<Vec<Part>, DrawError> {
    let mut parts = Vec::new();
    for (id, group) in linked(groups) {
        let shown = group.records.iter().find(|record| record.confusion.is_some());
        let pictured = study.worst.iter().find_map(|worst| {
            let record = study.records.get(worst.record)?;
            let of_group = group.records.iter().any(|other| other.path == record.path);
            of_group.then_some((record, &worst.mistakes))
        });
        if shown.is_some() || pictured.is_some() {
            parts.push(heading(group.name.clone()));
        }
        if let Some((record, counts)) = shown.and_then(|record| Some((record, record.confusion.clone()?))) {
            let matrix = ConfusionMatrix {
                title: format!("Test images by class: {}", group.name),
                subtitle: Some(format!("{}, seed {}", record.setting, record.options.seed)),
                counts,
            };
            let caption =
                "Rows are true classes, columns the predicted ones; what lies beside the diagonal is wrong.";
            let drawing = Content::Svg(matrix.svg());
            parts.push(of_runs(format!("confusion-{id}"), drawing, caption, &[alone(group, record)]));
        }
        match pictured {
            Some((_, mistakes)) if mistakes.is_empty() => {
                parts.push(paragraph("Every test image is classified as labelled."));
            }
            Some((record, mistakes)) => {
                let images = mistakes.iter().map(image).collect::<Result<_, _>>()?;
                let caption = "The test images with the largest loss among those that are misclassified: label → what \
                               the network reads, and the probability that it gives to the label.";
                parts.push(of_runs(
                    format!("worst-{id}"),
                    Content::Images(images),
                    caption,
                    &[alone(group, record)],
                ));
            }
            None => {}
        }
    }
    if parts.is_empty() {
        parts.push(paragraph("No run holds a confusion matrix or a model."));
    }
    Ok(parts)
}

fn image(mistake: &Mistake) -> Result<Image, DrawError> {
    let Mistake { index, label, predicted, loss, .. } = mistake;
    Ok(Image {
        png: mistake.png()?,
        alt: format!("test image {index}, labelled {label}, read as {predicted}"),
        caption: format!("{label} → {predicted}, {}", probability(*loss)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_such_as_can_stand_in_links_and_no_two_are_alike() {
        let named = |name: &str| Group { name: name.into(), records: Vec::new(), repeated: Vec::new() };
        let groups = ["adam, data /a b/é, lr 0.01", "adam, data /a b/ü, lr 0.01", "sgd"].map(named);
        let names: Vec<String> = linked(&groups).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["adam-data-a-b-lr-0-01", "adam-data-a-b-lr-0-01-group-2", "sgd"]);
    }
}
