//! classification.config: the classes that `classtype` names, with their text and priority.

use std::collections::HashMap;

use super::config_line::{BadLine, is_name, read_lines};

/// The file shipped with the sensor.
const SHIPPED: &str = include_str!("../../../rules/classification.config");

/// One class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Name, as written in the file.
    pub name: String,
    /// Description: EVE's `category`.
    pub description: String,
    /// Priority of its rules, 1 (highest) to 255.
    pub priority: u8,
}

/// All classes, by name regardless of case. The default is the file shipped with the sensor.
#[derive(Clone, Debug)]
pub struct Classifications {
    classes: HashMap<String, Class>,
}

impl Default for Classifications {
    fn default() -> Self {
        let mut shipped = Self { classes: HashMap::new() };
        let bad = shipped.add(SHIPPED);
        debug_assert!(bad.is_empty(), "{bad:?}");
        shipped
    }
}

impl Classifications {
    /// The class of this name.
    pub fn get(&self, name: &str) -> Option<&Class> {
        self.classes.get(&name.to_ascii_lowercase())
    }

    /// All names, in lower case, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }

    /// Adds the classes of a classification.config, which take precedence over those there are. The
    /// lines that could not be read are left out and given back; of two lines for one class in the
    /// text, the first counts.
    pub fn add(&mut self, text: &str) -> Vec<BadLine> {
        let mut added: HashMap<String, Class> = HashMap::new();
        let bad = read_lines(text, "classification", |rest| {
            let class = class(rest)?;
            let key = class.name.to_ascii_lowercase();
            if added.contains_key(&key) {
                return Err(format!("the class `{}` is there already", class.name));
            }
            added.insert(key, class);
            Ok(())
        });
        self.classes.extend(added);
        bad
    }
}

/// `NAME,TEXT,PRIORITY`; the text may hold commas.
fn class(rest: &str) -> Result<Class, String> {
    let parts = rest.split_once(',').and_then(|(name, rest)| {
        let (description, priority) = rest.rsplit_once(',')?;
        Some((name.trim_ascii(), description.trim_ascii(), priority.trim_ascii()))
    });
    let Some((name, description, priority)) = parts else {
        return Err("expected `NAME,TEXT,PRIORITY`".to_owned());
    };
    if !is_name(name) {
        return Err(format!("`{name}` cannot be the name of a class"));
    }
    if description.is_empty() {
        return Err("the text is missing".to_owned());
    }
    match priority.parse() {
        Ok(priority @ 1..) => {
            Ok(Class { name: name.to_owned(), description: description.to_owned(), priority })
        }
        _ => Err(format!("`{priority}` is not a priority from 1 to 255")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_classes() {
        let classes = Classifications::default();
        let class = classes.get("Web-Application-Attack").unwrap();
        assert_eq!((class.description.as_str(), class.priority), ("Web Application Attack", 1));
        assert_eq!(classes.get("tcp-connection").unwrap().priority, 4);
        assert_eq!(classes.get("no-such"), None);
        assert_eq!(Classifications { classes: HashMap::new() }.add(SHIPPED), []);
    }

    #[test]
    fn own_classes_take_precedence() {
        let mut classes = Classifications::default();
        let text = "\u{feff}# own\r\nconfig classification: own, One, two , 7\r\n\
                    config classification:trojan-activity,Other,9\n";
        assert_eq!(classes.add(text), []);
        let own = classes.get("own").unwrap();
        assert_eq!((own.description.as_str(), own.priority), ("One, two", 7));
        assert_eq!(classes.get("trojan-activity").unwrap().priority, 9);
    }

    #[test]
    fn bad_lines_cost_only_themselves() {
        let mut classes = Classifications::default();
        let bad = classes.add(
            "x\nconfig classification: a\nconfig classification: 1a,b,1\n\
             config classification: a,,1\nconfig classification: a,b,0\n\
             config classification: a,b,256\nconfig classification: a,b,2\n\
             config classification: A,c,3\nconfigclassification: b,c,3\n",
        );
        let lines: Vec<u32> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 8, 9]);
        assert_eq!(classes.get("a").unwrap().description, "b");
    }

    /// The classes of the public rulesets are those of the file shared with the tests.
    #[test]
    fn same_as_suricata() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/rules/classification.config");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let mut theirs = Classifications { classes: HashMap::new() };
        assert_eq!(theirs.add(&text), []);
        for (name, class) in &theirs.classes {
            assert_eq!(Classifications::default().get(name), Some(class));
        }
    }
}
