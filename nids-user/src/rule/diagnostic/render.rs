//! A refusal as text, with a caret under the place:
//!
//! ```text
//! error[unknown-keyword]: unknown keyword `contnet`
//!  --> rules/local.rules:3:31
//!   |
//! 3 | alert tcp any any -> any any (contnet:"x"; sid:1;)
//!   |                               ^^^^^^^
//!   = help: did you mean `content`?
//! ```
//!
//! Rules come from strangers: characters that a terminal would act on are shown as pictures, and a long
//! line is cut around the caret.

use std::fmt;

use unicode_width::UnicodeWidthChar;

use super::Excerpt;

/// Terminal columns of rule text that are shown, dots not counted.
const WIDTH: usize = 100;
/// Columns of these that stand before the caret, where the line is cut.
const BEFORE: usize = 40;
/// Columns of a tab, as rustc shows it.
const TAB: usize = 4;
const CUT: &str = "...";

/// An excerpt behind a label.
pub(super) struct Labelled<'a, L> {
    pub(super) label: L,
    pub(super) excerpt: Excerpt<'a>,
}

impl<L: fmt::Display> fmt::Display for Labelled<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excerpt { file, reason, help, .. } = self.excerpt;
        let place = self.excerpt.place();
        let (line, span) = self.excerpt.line_and_span();
        let view = View::new(line, span.start, span.end);
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}: {}", self.label, printable(reason))?;
        let file = file.to_string_lossy();
        writeln!(f, "{margin}--> {}:{}:{}", printable(&file), place.line, place.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", view.text)?;
        write!(f, "{margin} | {}{}", " ".repeat(view.before), "^".repeat(view.under))?;
        match help {
            Some(help) => write!(f, "\n{margin} = help: {}", printable(help)),
            None => Ok(()),
        }
    }
}

/// One character as the terminal shows it, and the columns it takes there.
type Cell = (char, usize);

fn cells(text: &str) -> impl Iterator<Item = Cell> + '_ {
    text.chars().flat_map(|c| match c {
        '\t' => std::iter::repeat_n((' ', 1), TAB),
        c => std::iter::repeat_n(cell(c), 1),
    })
}

fn cell(c: char) -> Cell {
    let c = match c {
        // The pictures of the control characters, in their order.
        '\0'..='\x1f' => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\x7f' => '\u{2421}',
        // What turns the direction of text around, or cannot be seen.
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    (c, c.width().unwrap_or(0))
}

/// `text` with pictures in place of the characters that a terminal would act on.
pub fn printable(text: &str) -> String {
    cells(text).map(|(c, _)| c).collect()
}

/// The part of a line that is shown.
struct View {
    text: String,
    /// Terminal columns before the caret.
    before: usize,
    /// Terminal columns of the caret, at least one.
    under: usize,
}

impl View {
    /// `start` and `end` are bytes of `line`, on borders of characters.
    fn new(line: &str, start: usize, end: usize) -> Self {
        let width = |cells: &[Cell]| cells.iter().map(|(_, width)| width).sum::<usize>();
        let mut all: Vec<Cell> = cells(&line[..start]).collect();
        let caret = all.len();
        all.extend(cells(&line[start..end]));
        let caret_end = all.len();
        all.extend(cells(&line[end..]));

        let (mut from, mut to) = (0, all.len());
        if width(&all) > WIDTH {
            let mut taken = 0;
            from = caret;
            while from > 0 && taken < BEFORE {
                from -= 1;
                taken += all[from].1;
            }
            to = caret;
            while to < all.len() && taken < WIDTH {
                taken += all[to].1;
                to += 1;
            }
            while from > 0 && taken < WIDTH {
                from -= 1;
                taken += all[from].1;
            }
        }
        let dots = |cut: bool| if cut { CUT } else { "" };
        let middle: String = all[from..to].iter().map(|(c, _)| c).collect();
        let text = format!("{}{middle}{}", dots(from > 0), dots(to < all.len()));
        Self {
            before: dots(from > 0).len() + width(&all[from..caret]),
            under: width(&all[caret..caret_end.min(to)]).max(1),
            text: text.trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::rule::ast::Span;
    use crate::rule::diagnostic::{ReasonKind, Refusal};

    fn refusal(text: &str, start: usize, end: usize) -> Refusal {
        Refusal {
            file: Arc::from(Path::new("x.rules")),
            line: 9,
            text: text.into(),
            span: Span { start, end },
            kind: ReasonKind::Syntax,
            reason: "no".to_owned(),
            help: None,
            sid: Some(1),
        }
    }

    /// The refusal of the first `[...]` in `text`, brackets taken out, without its first line.
    fn rendered(text: &str) -> String {
        let start = text.find('[').unwrap();
        let end = text.find(']').unwrap() - 1;
        let refusal = refusal(&text.replace(['[', ']'], ""), start, end);
        refusal.to_string().split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn short_lines() {
        assert_eq!(
            rendered("alert [tcp] x"),
            " --> x.rules:9:7\n  |\n9 | alert tcp x\n  |       ^^^"
        );
        assert_eq!(rendered("alert[]"), " --> x.rules:9:6\n  |\n9 | alert\n  |      ^");
        let refusal = Refusal { help: Some("do".to_owned()), ..refusal("a", 0, 1) };
        assert_eq!(
            refusal.to_string(),
            "error[syntax]: no\n --> x.rules:9:1\n  |\n9 | a\n  | ^\n  = help: do"
        );
    }

    #[test]
    fn the_right_line_of_a_long_rule() {
        assert_eq!(
            rendered("alert tcp (\r\n  sid:[x;\r\n y];)"),
            "  --> x.rules:10:7\n   |\n10 |   sid:x;\n   |       ^^"
        );
    }

    #[test]
    fn tabs_and_wide_characters() {
        assert_eq!(rendered("\ta\t[b]"), " --> x.rules:9:4\n  |\n9 |     a    b\n  |          ^");
        assert_eq!(rendered("日本[語]x"), " --> x.rules:9:3\n  |\n9 | 日本語x\n  |     ^^");
        assert_eq!(rendered("e\u{301}[x]"), " --> x.rules:9:3\n  |\n9 | e\u{301}x\n  |  ^");
    }

    #[test]
    fn terminals_are_left_alone() {
        assert_eq!(
            rendered("a\x1b\u{202e}[b\x7f]"),
            " --> x.rules:9:4\n  |\n9 | a\u{241b}\u{fffd}b\u{2421}\n  |    ^^"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let (a, b) = ("a".repeat(200), "b".repeat(200));
        let lines = |text: &str| {
            let text = rendered(text);
            let mut lines = text.lines().skip(2).map(|line| line[4..].to_owned());
            (lines.next().unwrap(), lines.next().unwrap())
        };
        assert_eq!(
            lines(&format!("{a}[X]{b}")),
            (format!("...{}X{}...", &a[..40], &b[..59]), format!("{}^", " ".repeat(43)))
        );
        assert_eq!(lines(&format!("[X]{b}")), (format!("X{}...", &b[..99]), "^".to_owned()));
        assert_eq!(
            lines(&format!("{a}[X]")),
            (format!("...{}X", &a[..99]), format!("{}^", " ".repeat(102)))
        );
        assert_eq!(
            lines(&format!("{a}[{b}]")),
            (
                format!("...{}{}...", &a[..40], &b[..60]),
                format!("{}{}", " ".repeat(43), "^".repeat(60))
            )
        );
    }

    #[test]
    fn json() {
        assert_eq!(
            refusal("a\n \"日本\" x", 4, 10).to_json(),
            r#"{"file":"x.rules","line":10,"column":3,"end_column":5,"sid":1,"kind":"syntax","reason":"no","help":null}"#
        );
    }

    proptest! {
        /// Any text and any span, on borders of characters or not.
        #[test]
        fn never_panics(text in "[a-z\t\r\n日\u{301}\x1b]{0,300}", a in 0usize..400, b in 0usize..400) {
            let refusal = refusal(&text, a.min(b), a.max(b));
            let shown = refusal.to_string();
            let lines: Vec<&str> = shown.split('\n').collect();
            prop_assert_eq!(lines.len(), 5);
            prop_assert!(lines.iter().all(|line| line.width() <= WIDTH + 30));
            prop_assert!(!shown.contains(['\t', '\x1b', '\r']));
            let place = refusal.place();
            prop_assert!(place.end_column >= place.column && place.column >= 1 && place.line >= 9);
        }
    }
}
