//! How the figure looks: boxes, curves, labels and a caption, at the places that `figure.rs` found.

use super::super::colour::{BACKGROUND, MUTED};
use super::super::heading::MARGIN;
use super::super::svg::{Anchor, Svg, number};
use super::super::text::{self, CAP_HEIGHT};
use super::figure::Figure;
use super::style::*;

impl Figure<'_> {
    pub fn svg(&self) -> String {
        let (nodes, edges) = (self.diagram.nodes.len(), self.graph.edges.len());
        let description = format!("Computational graph of {nodes} nodes and {edges} edges.");
        Svg::document(self.size.0, self.size.1, &self.diagram.title, &description, |svg| {
            self.heading.draw(svg);
            for edge in 0..edges {
                self.draw_edge(svg, edge);
            }
            for edge in 0..edges {
                self.draw_label(svg, edge);
            }
            for (rank, items) in self.ranks.iter().enumerate() {
                for &item in items.iter().filter(|&&item| item < nodes) {
                    self.draw_node(svg, item, rank);
                }
            }
            self.draw_caption(svg);
        })
    }

    /// One path from the source's right side to the tip of an arrow at the target's left side.
    fn draw_edge(&self, svg: &mut Svg, edge: usize) {
        let path = &self.paths[edge];
        let first_rank = self.rank_of[path[0]];
        let rank_of = |step: usize| first_rank + step;
        let (left, width) = self.columns[rank_of(0)];
        let (mut x, mut y) = (left + width, self.y[path[0]]);
        let mut d = format!("M{} {}", number(x), number(y));
        for (step, &item) in path.iter().enumerate().skip(1) {
            let is_last = step + 1 == path.len();
            let (left, width) = self.columns[rank_of(step)];
            let to = if is_last {
                (left - ARROW + 1.0, self.y[item] + self.ports[edge])
            } else {
                (left, self.y[item])
            };
            // level pieces join into one, which is written when it ends
            if (to.1 - y).abs() >= 0.005 {
                let (from_x, from_y, to_x, to_y) = (number(x), number(y), number(to.0), number(to.1));
                let middle = number((x + to.0) / 2.0);
                d.push_str(&format!("H{from_x}C{middle} {from_y} {middle} {to_y} {to_x} {to_y}"));
                y = to.1;
            }
            x = if is_last { to.0 } else { left + width };
        }
        d.push_str(&format!("H{}", number(x)));
        svg.element("path")
            .attr("d", d)
            .attr("fill", "none")
            .attr("stroke", EDGE.to_string())
            .num("stroke-width", 1.4)
            .close();
        let tip = x + ARROW - 1.0;
        let back = number(tip - ARROW);
        let head = format!("M{} {}L{back} {}V{}z", number(tip), number(y), number(y - 4.0), number(y + 4.0));
        svg.element("path").attr("d", head).attr("fill", MUTED.to_string()).close();
    }

    fn draw_label(&self, svg: &mut Svg, edge: usize) {
        let label = self.label(edge);
        let path = &self.paths[edge];
        let [.., item, _] = path[..] else { return };
        if label.is_empty() {
            return;
        }
        let (left, width) = self.columns[self.rank_of[item]];
        let (x, y) = (left + width / 2.0, self.y[item]);
        let room = text::width(&label, LABEL.size, LABEL.face) + 6.0;
        svg.element("rect")
            .num("x", x - room / 2.0)
            .num("y", y - LABEL_HEIGHT / 2.0)
            .num("width", room)
            .num("height", LABEL_HEIGHT)
            .attr("fill", BACKGROUND.to_string())
            .close();
        svg.text(x, y + LABEL.size * CAP_HEIGHT / 2.0, LABEL.anchored(Anchor::Middle), &label);
    }

    fn draw_node(&self, svg: &mut Svg, node: usize, rank: usize) {
        let (left, width) = self.columns[rank];
        let top = self.y[node] - self.box_height() / 2.0;
        let kind = self.diagram.nodes[node].kind;
        svg.element("rect")
            .num("x", left)
            .num("y", top)
            .num("width", width)
            .num("height", self.box_height())
            .num("rx", 7.0)
            .attr("fill", ground(kind).light().to_string())
            .attr("stroke", outline(kind).to_string())
            .close();
        let x = left + PADDING;
        let mut baseline = top + 6.5 + LINE / 2.0 + NAME.size * CAP_HEIGHT / 2.0;
        let [name, definition] = &self.first_lines[node];
        svg.text(x, baseline, NAME, name);
        // the space before "=" is not drawn, but moves
        let start = x + text::width(name, NAME.size, NAME.face);
        let space = text::width(" ", DEFINITION.size, DEFINITION.face);
        if !definition.is_empty() {
            svg.text(start + space, baseline, DEFINITION, definition.trim_start());
        }
        let node = &self.diagram.nodes[node];
        for (content, style) in [(&node.value, VALUE), (&node.adjoint, ADJOINT)] {
            if !content.is_empty() {
                baseline += LINE;
                svg.text(x, baseline, style, &text::elide(content, style.size, style.face, MAX_TEXT));
            }
        }
    }

    fn draw_caption(&self, svg: &mut Svg) {
        let baseline = self.size.1 - MARGIN;
        let mut x = MARGIN;
        for (sign, content, style) in self.caption() {
            if let Some(kind) = sign {
                svg.element("rect")
                    .num("x", x + 0.5)
                    .num("y", baseline - 11.0)
                    .num("width", 17.0)
                    .num("height", 13.0)
                    .num("ry", 3.0)
                    .attr("fill", ground(kind).light().to_string())
                    .attr("stroke", outline(kind).to_string())
                    .close();
                x += SIGN;
            }
            svg.text(x, baseline, style, &content);
            x += text::width(&content, style.size, style.face) + SIGN_GAP;
        }
    }
}
