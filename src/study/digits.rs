//! The sections on MNIST: the network and the update rules, the curves, the results, what the networks get wrong.

use super::network::Layers;
use super::{Study, curves, figure, heading, paragraph, results, section};
use crate::document::{Block, words};
use crate::draw::{ConfusionMatrix, DrawError};
use crate::report::{Content, Image, Part, Section};
use crate::train::{Group, Mistake, Record, groups};

pub(super) fn sections(study: &Study<'_>) -> Result<Vec<Section>, DrawError> {
    let groups = groups(study.records);
    let setting = common(study.records.iter().map(|record| &record.setting[..]));
    Ok(vec![
        section("network", "A network that reads digits", network(study, &groups)),
        section("curves", "How it learns", learning(&groups, setting)),
        section("results", "What it reaches", reached(study, &groups, setting)),
        section("mistakes", "What it gets wrong", wrong(study, &groups)?),
    ])
}

/// What all have in common, or a word for that they do not.
fn common<'a>(mut texts: impl Iterator<Item = &'a str>) -> &'a str {
    let first = texts.next().unwrap_or_default();
    if texts.all(|text| text == first) { first } else { "several settings" }
}

/// How a group's figures were made.
fn made_by(records: &[&Record]) -> Vec<(String, String)> {
    let each = |of: &dyn Fn(&Record) -> String| {
        let mut texts: Vec<String> = records.iter().map(|record| of(record)).collect();
        texts.dedup();
        let more = texts.len().saturating_sub(3);
        texts.truncate(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        texts.join("; ") + &more
    };
    let device = |record: &Record| {
        let device = match (&record.card, &record.summary) {
            (Some(card), _) => format!("{}, {card}", record.options.device),
            (None, Some(summary)) => format!("{}, {} threads", summary.device, summary.threads),
            (None, None) => record.options.device.to_string(),
        };
        let platform = record.platform.as_ref().map_or(String::new(), |platform| format!(", {platform}"));
        device + &platform
    };
    let version = |record: &Record| {
        let version = record.version.as_deref().unwrap_or("of unknown version");
        format!("cotangent {version}")
    };
    vec![
        ("command".into(), each(&|record| record.options.command())),
        ("seed".into(), each(&|record| record.options.seed.to_string())),
        ("device".into(), each(&device)),
        ("version".into(), each(&version)),
        ("run".into(), each(&|record| record.path.display().to_string())),
    ]
}

fn of_runs(id: String, content: Content, caption: String, records: &[&Record]) -> Part {
    let made_by = made_by(records);
    let made_by: Vec<(&str, &str)> = made_by.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    figure(id, content, caption, &made_by)
}

fn all<'a>(groups: &[Group<'a>]) -> Vec<&'a Record> {
    groups.iter().flat_map(|group| group.records.iter().copied()).collect()
}

/// A name as it stands in links.
fn slug(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    plain.collect::<String>().split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn network(study: &Study<'_>, groups: &[Group<'_>]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut shown: Vec<&str> = Vec::new();
    for record in study.records {
        let Some(layers) = Layers::of(record).filter(|_| !shown.contains(&&record.setting[..])) else {
            continue;
        };
        shown.push(&record.setting);
        let number = shown.len();
        parts.push(Part::Block(Block::Paragraph(layers.sentence())));
        let caption = "The network as a graph on one batch: images and hidden layers are rows of a matrix.";
        let drawing = Content::Svg(layers.diagram().svg());
        parts.push(of_runs(format!("network-{number}"), drawing, caption.into(), &[record]));
        let caption = "The layers, and the objective that training makes small.";
        let formulas = Content::Formulas(layers.formulas());
        parts.push(of_runs(format!("layers-{number}"), formulas, caption.into(), &[record]));
    }
    parts.push(heading("The update rules"));
    parts.push(Part::Block(Block::Paragraph(vec![
        words("With "),
        crate::document::math("g_t"),
        words(" the gradient of a batch's objective by a weight "),
        crate::document::math(r"\theta"),
        words(" at step "),
        crate::document::math("t"),
        words(", all operations entry by entry. The learning rate "),
        crate::document::math(r"\alpha"),
        words(" follows the schedule of the run; its largest value is named below each rule."),
    ])));
    for group in groups {
        let Some(record) = group.records.first() else { continue };
        let (options, optimizer) = (&record.options, record.options.optimizer());
        let caption = format!(
            "{}: {}. Largest learning rate {}, schedule {}.",
            group.name,
            optimizer.source(),
            options.lr,
            options.schedule.name()
        );
        let formulas = Content::Formulas(optimizer.latex(options.weight_decay));
        parts.push(of_runs(format!("rule-{}", slug(&group.name)), formulas, caption, &group.records));
    }
    parts
}

fn learning(groups: &[Group<'_>], setting: &str) -> Vec<Part> {
    let with_rows: Vec<Group<'_>> = groups
        .iter()
        .map(|group| Group {
            name: group.name.clone(),
            records: group.records.iter().copied().filter(|record| !record.rows.is_empty()).collect(),
        })
        .filter(|group| !group.records.is_empty())
        .collect();
    if with_rows.is_empty() {
        return vec![paragraph("No run holds an epoch, so there is no curve.")];
    }
    let records = all(&with_rows);
    let mut parts = vec![
        of_runs(
            "objective".into(),
            Content::Chart(curves::objectives(&with_rows, setting)),
            "The objective as training met it, batch by batch, the mean of each epoch.".into(),
            &records,
        ),
        of_runs(
            "accuracy".into(),
            Content::Chart(curves::accuracies(&with_rows, setting)),
            "The share of the test images that are classified as labelled, after each epoch. Nothing was chosen by \
             it: no run was stopped early, no epoch was picked."
                .into(),
            &records,
        ),
        heading("Each alone"),
        paragraph(
            "In training the images are moved by up to a pixel where the run says so, and the network changes during \
             the epoch; the test images are as they are, and the network is that of the epoch's end. So the test \
             objective may be the lower one.",
        ),
    ];
    for group in &with_rows {
        let id = slug(&group.name);
        parts.push(of_runs(
            format!("objective-{id}"),
            Content::Chart(curves::objective(group, setting)),
            format!("Training and test objective of {}.", group.name),
            &group.records,
        ));
        parts.push(of_runs(
            format!("accuracy-{id}"),
            Content::Chart(curves::accuracy(group, setting)),
            format!("Training and test accuracy of {}.", group.name),
            &group.records,
        ));
    }
    parts
}

fn reached(study: &Study<'_>, groups: &[Group<'_>], setting: &str) -> Vec<Part> {
    let mut parts = vec![
        paragraph(
            "The test accuracy at the end of each run: the mean over the seeds, with the standard deviation of a sample \
             where there are several. Seconds are those of training, evaluation apart.",
        ),
        Part::Block(results::table(groups)),
    ];
    let records = all(groups);
    if records.iter().any(|record| !record.rows.is_empty()) {
        parts.push(of_runs(
            "seconds".into(),
            Content::Chart(curves::seconds(groups, setting)),
            "The time that the training of each epoch took.".into(),
            &records,
        ));
    }
    let of_records = study
        .records
        .iter()
        .flat_map(|record| record.notes.iter().map(|note| format!("{}: {note}.", record.path.display())));
    let notes: Vec<String> = of_records.chain(study.notes.iter().cloned()).collect();
    if !notes.is_empty() {
        parts.push(heading("Notes on the runs"));
        parts.extend(notes.into_iter().map(paragraph));
    }
    parts
}

fn wrong(study: &Study<'_>, groups: &[Group<'_>]) -> Result<Vec<Part>, DrawError> {
    let mut parts = Vec::new();
    for group in groups {
        let id = slug(&group.name);
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
            parts.push(of_runs(
                format!("confusion-{id}"),
                Content::Svg(matrix.svg()),
                caption.into(),
                &[record],
            ));
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
                    caption.into(),
                    &[record],
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
    let Mistake { index, label, predicted, probability, .. } = mistake;
    Ok(Image {
        png: mistake.png()?,
        alt: format!("test image {index}, labelled {label}, read as {predicted}"),
        caption: format!("{label} → {predicted}, {}", small(f64::from(*probability))),
    })
}

/// A probability in a few characters.
fn small(probability: f64) -> String {
    match probability {
        p if p >= 0.001 => format!("{p:.3}"),
        p => format!("{p:.0e}"),
    }
}
