//! A picture of outcomes: imbalance over time, a line for each strategy.

use super::Outcome;
use std::fmt::Write;

/// Colours that people who see few colours can tell apart (M. Okabe and K. Ito, 2002).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 440.0;
/// Left, right, above and below the lines.
const MARGINS: [f64; 4] = [60.0, 160.0, 40.0, 50.0];

/// The picture; outcomes of one trace.
#[must_use]
pub fn svg(outcomes: &[Outcome]) -> String {
    let [left, right, above, below] = MARGINS;
    let (width, height) = (WIDTH - left - right, HEIGHT - above - below);
    let most = outcomes.iter().map(|outcome| outcome.max).fold(0.0, f64::max);
    let top = if most > 0.0 { ceil(most) } else { 1.0 };
    let lasts_s = outcomes
        .first()
        .map_or(0.0, |outcome| (outcome.to_ms - outcome.from_ms) as f64 / 1e3);
    let mut picture = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{left}" y="24" font-size="16">What the fullest server has over its part, by strategy</text>
"##
    );
    // Writing to a String can't fail.
    for quarter in 0..=4 {
        let part = f64::from(quarter) / 4.0;
        let (x, y) = (left + width * part, above + height * (1.0 - part));
        let _ = writeln!(
            picture,
            r##"<path d="M{left} {y:.1}h{width}" stroke="#ddd"/>
<text x="{}" y="{:.1}" text-anchor="end">{} %</text>
<text x="{x:.1}" y="{}" text-anchor="middle">{:.0} s</text>"##,
            left - 8.0,
            y + 4.0,
            short(100.0 * top * part),
            HEIGHT - below + 22.0,
            lasts_s * part,
        );
    }
    for ((outcome, colour), row) in outcomes.iter().zip(COLOURS.iter().cycle()).zip(0u32..) {
        let points = outcome.timeline.iter().zip(0u32..).map(|(imbalance, nth)| {
            let x = left + width * (f64::from(nth) + 0.5) / outcome.timeline.len() as f64;
            let y = above + height * (1.0 - imbalance / top);
            format!("{x:.1},{y:.1}")
        });
        let points: Vec<_> = points.collect();
        let (x, y) = (WIDTH - right + 16.0, above + 14.0 + 22.0 * f64::from(row));
        let _ = writeln!(
            picture,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.5"/>
<path d="M{x} {:.1}h18" stroke="{colour}" stroke-width="3"/>
<text x="{}" y="{y}">{}</text>"#,
            points.join(" "),
            y - 4.0,
            x + 24.0,
            outcome.strategy,
        );
    }
    picture.push_str("</svg>\n");
    picture
}

/// The next 1, 2 or 5 of a power of ten.
fn ceil(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value).unwrap_or(10.0 * power)
}

/// Without digits that say nothing.
fn short(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
