//! A page with one of everything, of the size that a real one has: for tests here, and for a browser.

use crate::document::{Align, Block, MatrixBlock, math, number, words};
use crate::draw::colour::{BACKGROUND, INK};
use crate::draw::svg::Svg;
use crate::draw::{ConfusionMatrix, LineChart, Reference, ScaleKind, Series, YFormat, png};
use crate::report::{Content, Figure, Image, Page, Part, Section};
use crate::scalar::format::{self, Notation};
use crate::scalar::{Directions, TraceRequest, parse, parse_point, trace};

pub fn page() -> Page {
    let section = |id: &str, title: &str, parts| Section { id: id.into(), title: title.into(), parts };
    Page {
        title: "Automatic differentiation, step by step".into(),
        lead: vec![
            words(
                "A formula of three inputs, a chain of matrices and a network that reads digits: the same rules \
                   give the derivatives of all three. Here they are written out, with ",
            ),
            math(r"\bar{v} = \frac{\partial f}{\partial v}"),
            words(" for the adjoint of "),
            math("v"),
            words("."),
        ],
        sections: vec![
            section("scalars", "A formula of scalars", scalars()),
            section("matrices", "A chain of matrices", matrices()),
            section("digits", "Handwritten digits", digits()),
        ],
    }
}

fn paragraph(text: &str) -> Part {
    Part::Block(Block::Paragraph(vec![words(text)]))
}

fn figure(id: &str, content: Content, caption: &str) -> Part {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let made_by = vec![
        fact("command", "cotangent mnist --opt adam --epochs 10 --seed 0 --batch 128 --lr 0.001"),
        fact("seed", "0"),
        fact("device", "cpu, 2 threads"),
    ];
    Part::Figure(Figure { id: id.into(), content, caption: vec![words(caption)], made_by })
}

fn scalars() -> Vec<Part> {
    let formula = parse("sin(x1*x2) + exp(x1/x3)*(x2 - 2)^2 - ln(x3)").unwrap();
    let point = parse_point("x1=1.5,x2=0.5,x3=2").unwrap();
    let trace =
        trace(&formula, &point, &TraceRequest { directions: Directions::Each, hessian: true }).unwrap();
    let diagram = format::diagram(&trace, Notation::Griewank, 4);
    let mut parts = vec![
        paragraph(
            "Each operation of the formula is a node. The forward sweep computes values and tangents from left to \
             right, the reverse sweep adjoints from right to left.",
        ),
        figure("graph", Content::Svg(diagram.svg()), "The graph with values above and adjoints below."),
    ];
    let blocks = format::page(
        &trace,
        Notation::Latex,
        4,
        Some(&diagram.boxes(100).unwrap_or_else(|| diagram.lifelines())),
    );
    parts.extend(blocks.into_iter().map(Part::Block));
    parts
}

fn matrices() -> Vec<Part> {
    let matrix = |name: &str, rows: usize, columns: usize, size: f64| {
        let entry = |i: usize| size * ((i * i) as f64 * 0.37 + rows as f64).sin();
        let cells =
            (0..rows * columns).map(|i| number::latex_number(&number::rounded(entry(i), 4))).collect();
        Part::Block(Block::Matrix(MatrixBlock { name: name.into(), columns, cells }))
    };
    let gradients = (1..=10).flat_map(|i| {
        [matrix(&format!(r"V_{{{i}}}"), 4, 50, 1.0), matrix(&format!(r"\bar{{V}}_{{{i}}}"), 4, 50, 0.02)]
    });
    let formulas = [
        r"V_3 = \operatorname{relu}\left(W_3 V_2 + b_3 \mathbf{1}^{\mathsf T}\right), \qquad f = \tfrac12 \lVert V_3 - Y \rVert^2",
        r"\bar{V}_2 \mathrel{+}= W_3^{\mathsf T} \left(\bar{V}_3 \odot \left[V_3 > 0\right]\right), \qquad \bar{W}_3 \mathrel{+}= \left(\bar{V}_3 \odot \left[V_3 > 0\right]\right) V_2^{\mathsf T}",
    ];
    vec![
        paragraph("A product passes its adjoint on by two products, whatever the shapes."),
        figure("rules", Content::Formulas(formulas.map(String::from).to_vec()), "The rules of one layer."),
        Part::Block(Block::Heading("Weights".into())),
        matrix("W_3", 4, 5, 2.0),
        matrix(r"\bar{W}_3", 4, 5, 0.0003),
        Part::Details { summary: "All values and gradients".into(), parts: gradients.collect() },
    ]
}

fn digits() -> Vec<Part> {
    let epochs = |rate: f64, floor: f64| -> Vec<(f64, f64)> {
        (1..=10).map(|i| (f64::from(i), 0.3 * (-rate * f64::from(i)).exp() + floor)).collect()
    };
    let series = [("Adagrad", 0.3, 0.012), ("Adadelta", 0.5, 0.006), ("Adam", 0.45, 0.004)];
    let loss = LineChart {
        title: "Objective of the training set".into(),
        subtitle: Some("784-512-256-10, batch 128, mean of five seeds".into()),
        x_label: "epoch".into(),
        y_label: "mean training loss (nats)".into(),
        y_scale: ScaleKind::Log,
        series: series
            .map(|(name, rate, floor)| Series {
                name: name.into(),
                points: epochs(rate, floor),
                ..Series::default()
            })
            .to_vec(),
        ..LineChart::default()
    };
    let right = |&(x, y): &(f64, f64)| (x, 0.985 - y / 6.0);
    let accuracy = LineChart {
        title: "Accuracy on the test set".into(),
        subtitle: Some("10 000 digits; the band is the range over five seeds".into()),
        x_label: "epoch".into(),
        y_label: "test accuracy".into(),
        y_format: YFormat::Percent,
        references: vec![Reference { value: 0.98, label: "98%".into() }],
        series: loss
            .series
            .iter()
            .map(|series| {
                let points: Vec<(f64, f64)> = series.points.iter().map(right).collect();
                let band = points.iter().map(|(_, y)| (y - 0.002, y + 0.0015)).collect();
                Series { name: series.name.clone(), points, band: Some(band), ..Series::default() }
            })
            .collect(),
        ..LineChart::default()
    };
    let counts: Vec<Vec<u64>> = (0..10)
        .map(|t: u64| {
            (0..10)
                .map(|p| {
                    if t == p {
                        970 + 3 * t
                    } else {
                        (t * 7 + p * 5) % 6 * u64::from((t + p).is_multiple_of(3))
                    }
                })
                .collect()
        })
        .collect();
    let confusion =
        ConfusionMatrix { title: "Adam".into(), subtitle: Some("test set, seed 0".into()), counts };
    let columns = vec![
        (words("optimizer"), Align::Left),
        (words("rule"), Align::Long),
        (math(r"\alpha"), Align::Right),
        (words("test accuracy"), Align::Right),
        (words("loss"), Align::Right),
        (words("seconds"), Align::Right),
    ];
    let row = |name: &str, rule: &str, rate: &str, accuracy: &str, loss: &str| {
        vec![words(name), math(rule), math(rate), words(accuracy), math(loss), math("12.3")]
    };
    let rows = vec![
        row(
            "Adagrad",
            r"\theta_{t+1} = \theta_t - \frac{\alpha}{\sqrt{s_t} + \varepsilon} g_t",
            "0.01",
            "97.9%",
            "0.0121",
        ),
        row("Adadelta", r"s_t = \rho s_{t-1} + (1-\rho) g_t^2", "0.001", "98.1%", r"6.02 \cdot 10^{-3}"),
        row(
            "Adam",
            r"\theta_{t+1} = \theta_t - \alpha \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \varepsilon}",
            "0.001",
            "98.3%",
            r"-4.17 \cdot 10^{-3}",
        ),
    ];
    let adam = [
        r"m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t \odot g_t",
        r"\hat{m}_t = \frac{m_t}{1 - \beta_1^t}, \qquad \hat{v}_t = \frac{v_t}{1 - \beta_2^t}, \qquad \theta_t = \theta_{t-1} - \alpha \frac{\hat{m}_t}{\sqrt{\hat{v}_t} + \varepsilon}",
    ];
    vec![
        paragraph("Three optimizers train the same network from the same weights on the same batches."),
        figure("adam", Content::Formulas(adam.map(String::from).to_vec()), "Adam, elementwise."),
        figure("loss", Content::Chart(loss), "The objective falls fastest with adaptive steps."),
        figure("accuracy", Content::Chart(accuracy), "Accuracy after each epoch."),
        Part::Block(Block::Table { columns, rows }),
        figure("confusion", Content::Svg(confusion.svg()), "What Adam's network takes for what."),
        figure(
            "mistakes",
            Content::Images((0..12).map(digit).collect()),
            "Digits that the network misreads.",
        ),
    ]
}

/// Something like a digit of 28 × 28 pixels.
fn digit(i: u32) -> Image {
    let drawing = Svg::ornament(28.0, 28.0, |svg| {
        svg.element("rect")
            .num("width", 28.0)
            .num("height", 28.0)
            .attr("fill", BACKGROUND.to_string())
            .close();
        let d = format!("M{} 6Q{} 3 14 14T{} 23", 6 + i % 5, 20 + i % 4, 8 + i);
        svg.element("path")
            .attr("d", d)
            .attr("fill", "none")
            .attr("stroke", INK.to_string())
            .num("stroke-width", 2.5)
            .close();
    });
    Image {
        png: png(&drawing, 1.0).unwrap(),
        alt: format!("a handwritten {}", i % 10),
        caption: format!("{} as {}", i % 10, (i + 3) % 10),
    }
}
