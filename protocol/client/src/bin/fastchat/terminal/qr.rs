//! QR codes for a terminal: two modules above each other are one character.

use anstyle::{AnsiColor, Color, Style};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// Dark on light on every terminal, as cameras expect it.
const PAPER: Style = Style::new()
    .fg_color(Some(Color::Ansi(AnsiColor::Black)))
    .bg_color(Some(Color::Ansi(AnsiColor::BrightWhite)));

/// A code of so many digits, with its quiet zone; nothing where they are too many for one.
pub(crate) fn lines(digits: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(digits, EcLevel::M) else {
        return String::new();
    };
    let drawn = code.render::<Dense1x2>().build();
    let lines: Vec<String> = drawn.lines().map(|line| format!("{PAPER}{line}{PAPER:#}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safety_number_is_a_square_of_half_blocks_that_fits_a_terminal() {
        let drawn = lines(&"12345".repeat(12));
        let plain: Vec<String> = drawn.lines().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        let width = plain[0].chars().count();
        assert!(width <= 40 && plain.len() <= 20, "{width} by {}", plain.len());
        assert!(
            plain
                .iter()
                .all(|line| line.chars().count() == width && line.chars().all(|c| " ▀▄█".contains(c)))
        );
        assert_eq!(width.div_ceil(2), plain.len(), "square");
    }
}
