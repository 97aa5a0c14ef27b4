//! Tests of the sets as rules use them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::detect::keyword::value::{Fault, Word};

fn word(text: &str) -> Word<'_> {
    Word { text, start: 0 }
}

fn sets() -> Datasets {
    Datasets::new(DatasetSettings::default()).unwrap()
}

fn read_in(sets: &Datasets, rules: &Path, text: &str) -> Result<DatasetUse, Fault> {
    DatasetUse::read(word(text), rules, sets)
}

fn read(sets: &Datasets, text: &str) -> Result<DatasetUse, Fault> {
    read_in(sets, Path::new("nowhere/x.rules"), text)
}

fn used(sets: &Datasets, text: &str) -> DatasetUse {
    read(sets, text).unwrap_or_else(|fault| panic!("{text}: {}", fault.reason))
}

#[test]
fn commands_tell_what_changed() {
    let sets = sets();
    let [set, unset] = ["set,seen, type string", "unset,Seen"].map(|text| used(&sets, text));
    let [isset, isnotset] = ["isset, SEEN", "isnotset,seen,type string"].map(|t| used(&sets, t));
    let both = |buffer| (isset.matches(buffer), isnotset.matches(buffer));
    assert_eq!(both(b"a"), (false, true));
    assert!(set.matches(b"a") && !set.matches(b"a"));
    assert_eq!(both(b"a"), (true, false));
    assert_eq!(both(b"A"), (false, true));
    assert!(unset.matches(b"a") && !unset.matches(b"a"));
    assert_eq!(both(b"a"), (false, true));
    // An empty buffer is like none.
    assert_eq!((both(b""), set.matches(b""), unset.matches(b"")), ((false, false), false, false));
    assert_eq!(isset.set().counters(), DatasetCounters::default());
}

#[test]
fn a_buffer_of_another_length_is_in_no_set_of_digests() {
    let sets = sets();
    let set = used(&sets, "set,m,type md5");
    let isnotset = used(&sets, "isnotset,m");
    assert!(!set.matches(b"short") && isnotset.matches(b"short"));
    assert!(set.matches(&[1; 16]) && !isnotset.matches(&[1; 16]));
    // An IPv4 address has one place, in whichever form.
    let ip = used(&sets, "set,i,type ip");
    let mapped = std::net::Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets();
    assert!(ip.matches(&[1, 2, 3, 4]) && !ip.matches(&mapped) && ip.matches(&[1; 16]));
}

#[test]
fn refused_with_the_place() {
    let sets = sets();
    used(&sets, "set,there,type string,save there.lst");
    for (text, place, reason) in [
        ("", "", "needs a command"),
        ("has,x,type string", "has", "the command is"),
        ("isset", "isset", "needs a name"),
        ("isset,a b,type string", "a b", "no blanks"),
        ("isset,x", "x", "is not defined"),
        ("isset,x,type text", "text", "the type is one of"),
        ("isset,x,tipe string", "tipe", "is no option"),
        ("isset,x,type", "type", "needs a value"),
        ("isset,x,type string,type md5", "type", "twice"),
        ("isset,x,type string,load none.lst", "none.lst", "cannot be loaded"),
        ("isset,x,type string,load /dev/zero", "/dev/zero", "not a file"),
        ("isset,x,type string,load .", ".", "not a file"),
        ("isset,x,load none.lst", "none.lst", "needs a `type`"),
        ("set,x,type string,state a,save b", "a", "load and save in one"),
        ("set,x,type string,save /etc/passwd", "/etc/passwd", "absolute"),
        ("set,x,type string,load a,save /etc/passwd", "/etc/passwd", "absolute"),
        ("set,x,type string,state ../x", "../x", "`..` is not allowed"),
        ("set,x,type string,save there.lst", "x", "is saved to"),
        ("set,x,type string,memcap lots", "lots", "not a size"),
        ("set,x,type string,hashsize 262145", "262145", "limit of 262144"),
        ("isset,there,type md5", "md5", "holds string"),
        ("isset,there,type string,save other.lst", "other.lst", "with other files"),
        ("isset,x,type string,format xml", "xml", "the format is"),
        ("isset,x,type string,load a,format json", "json", "`value_key`"),
        ("isset,x,type string,load a,value_key k", "k", "format json"),
        ("set,x,type string,load a,format json,value_key k", "json", "only be tested"),
        ("isset,x,type string,state a,format json,value_key k", "json", "cannot be saved"),
        ("isset,x,type string,format ndjson,value_key k,array_key a", "a", "`array_key`"),
        ("isset,x,type string,match suffix", "suffix", "subdomain"),
        ("set,y,type string,match subdomain", "subdomain", "isset"),
        ("isset,z,type md5,match subdomain", "subdomain", "strings"),
    ] {
        let fault = read(&sets, text).expect_err(text);
        assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
        assert_eq!(text.get(fault.span.start..fault.span.end), Some(place), "{text}");
    }
    let help = read(&sets, "isset,x,tipe string").unwrap_err().help;
    assert_eq!(help.as_deref(), Some("did you mean `type`?"));
    let long = format!("isset,{},type string", "n".repeat(MAX_NAME + 1));
    assert!(read(&sets, &long).unwrap_err().reason.contains("63 bytes"));
}

#[test]
fn settings_say_what_rules_may() {
    let with = |change: fn(&mut DatasetSettings)| {
        let mut settings = DatasetSettings::default();
        change(&mut settings);
        Datasets::new(settings).unwrap()
    };
    let off = with(|settings| settings.enabled = false);
    assert!(read(&off, "isset,x,type string").unwrap_err().reason.contains("switched off"));
    let quiet = with(|settings| settings.allow_write = false);
    assert!(read(&quiet, "set,x,type string,state x").unwrap_err().reason.contains("may not"));
    assert!(read(&quiet, "set,x,type string").is_ok());
    let absolute = with(|settings| settings.allow_absolute = true);
    assert!(read(&absolute, "set,x,type string,save /tmp/../tmp/x").is_ok());
    assert!(read(&absolute, "set,y,type string,save /").is_err());
    let few = with(|settings| settings.total_hashsizes = 5000);
    assert!(read(&few, "set,x,type string").is_ok());
    assert!(read(&few, "set,y,type string").unwrap_err().reason.contains("total-hashsizes"));
}

#[test]
fn files_lie_beside_the_rules_or_in_the_folder_of_the_settings() {
    let (beside, default) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(beside.path().join("one.lst"), "MQ==\n").unwrap();
    fs::write(default.path().join("one.lst"), "MA==\n").unwrap();
    fs::write(default.path().join("two.lst"), "Mg==\r\n\r\nMw==").unwrap();
    let sets = Datasets::new(DatasetSettings {
        rule_path: Some(default.path().into()),
        ..DatasetSettings::default()
    })
    .unwrap();
    let rules = beside.path().join("x.rules");
    let one = read_in(&sets, &rules, "isset,one,type string,load one.lst").unwrap();
    let two = read_in(&sets, &rules, "isset,two,type string,load two.lst").unwrap();
    assert!(one.matches(b"1") && !one.matches(b"0") && two.matches(b"2") && two.matches(b"3"));
    let path = default.path().join("two.lst");
    let text = format!("isset,three,type string,load {}", path.display());
    assert!(read_in(&sets, &rules, &text).unwrap().matches(b"3"));
}

#[test]
fn reputations() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dns.rep"), "Z29vZ2xlLmNvbQ==,200\nYQ==, 7 ,note\nYg==\n")
        .unwrap();
    let sets = sets();
    let rules = folder.path().join("x.rules");
    let datarep = |text: &str| DatarepUse::read(word(text), &rules, &sets);
    for (test, google, a, b) in [
        (">, 199", true, false, false),
        (">,200", false, false, false),
        (">=,200", true, false, false),
        ("<,7", false, false, true),
        ("<=,7", false, true, true),
        ("==,200", true, false, false),
        ("=,0", false, false, true),
    ] {
        let text = format!("dns, {test}, load dns.rep, type string, memcap 1mb, hashsize 64");
        let used = datarep(&text).unwrap();
        let seen = [&b"google.com"[..], b"a", b"b"].map(|buffer| used.matches(buffer));
        assert_eq!(seen, [google, a, b], "{test}");
        assert!(!used.matches(b"c") && !used.matches(b""));
    }
    for (text, reason) in [
        ("dns", "operator"),
        ("dns,>", "reputation"),
        ("dns,!=,3", "operator is"),
        ("dns,>,65536", "between 0 and 65535"),
        ("dns,>,x", "not a number"),
        ("dns,>,3,save x", "no option"),
        ("other,>,3", "not defined"),
        ("other,>,3,load dns.rep", "needs a `type`"),
    ] {
        let fault = datarep(text).expect_err(text);
        assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
    }
    for (line, reason) in [
        ("YQ==,65536", "line 2: a reputation"),
        ("YQ==,", "line 2: a reputation"),
        ("#", "line 2: not a string"),
    ] {
        fs::write(folder.path().join("bad.rep"), format!("Yg==\n{line}\n")).unwrap();
        let fault = datarep("bad,>,1,load bad.rep,type string").unwrap_err();
        assert!(fault.reason.contains(reason), "{}", fault.reason);
    }
}

#[test]
fn json_with_context() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.json", r#"[{"host":"x.com","year":2005},{"other":1}]"#),
        (
            "b.json",
            r#"{"info":{"threat":[{"year":1,"host":{"fqdn":"x.com","tld":"com"}},{"host":{}}]}}"#,
        ),
        ("c.json", "{\"host\":\"x.com\",\"n\":1}\n\n{\"host\":\"y.com\",\"n\":2}\n"),
        ("bad1.json", r#"[{"host":7}]"#),
        ("bad2.json", r#"[{"hust":"x"}]"#),
        ("bad3.json", r#"{"host":"x"}"#),
        ("bad4.json", "{\"host\":\"x\"}\n{"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let sets = sets();
    let rules = folder.path().join("x.rules");
    let read = |text: &str| read_in(&sets, &rules, text);
    for (number, (rest, context)) in [
        ("load a.json,format json,context_key k,value_key host", Some(r#"{"host":"x.com","year":2005}"#)),
        ("load a.json,format json,enrichment_key k,value_key host,remove_key", Some(r#"{"year":2005}"#)),
        ("load a.json,format json,value_key host", None),
        (
            "load b.json,format json,context_key k,value_key host.fqdn,array_key info.threat,remove_key",
            Some(r#"{"host":{"tld":"com"},"year":1}"#),
        ),
        ("load c.json,format ndjson,context_key k,value_key host", Some(r#"{"host":"x.com","n":1}"#)),
        ("load c.json,format jsonline,context_key k,value_key host", Some(r#"{"host":"x.com","n":1}"#)),
    ]
    .into_iter()
    .enumerate()
    {
        let used = read(&format!("isset,n{number},type string,{rest}")).unwrap();
        assert!(used.matches(b"x.com") && !used.matches(b"z.com"), "{rest}");
        assert_eq!(used.context(b"x.com"), context.map(|context| ("k", context)), "{rest}");
        assert_eq!(used.context(b"z.com"), None);
    }
    for (rest, reason) in [
        ("load bad1.json,format json", "element 0: `host` is not a string"),
        ("load bad2.json,format json", "no object has the key `host`"),
        ("load bad3.json,format json", "not an array"),
        ("load b.json,format json,array_key info", "`info` is not an array"),
        ("load b.json,format json,array_key into", "no object has the key `into`"),
        ("load bad4.json,format ndjson", "line 2: "),
        ("load c.json,format json", "trailing"),
    ] {
        let fault = read(&format!("isset,bad,type string,value_key host,{rest}")).unwrap_err();
        assert!(fault.reason.contains(reason), "{rest}: {}", fault.reason);
    }
    let other = read("isset,n0,type string,load a.json,format json,value_key year").unwrap_err();
    assert!(other.reason.contains("with another format"));
}

#[test]
fn subdomains() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("domains.lst"), "LmV2aWwuY29t").unwrap();
    let sets = sets();
    let read = |command| {
        let text = format!("{command},d,type string,match subdomain,load domains.lst");
        read_in(&sets, &folder.path().join("x.rules"), &text).unwrap()
    };
    let (isset, isnotset) = (read("isset"), read("isnotset"));
    for (name, inside) in [
        (".evil.com", true),
        (".mail.evil.com", true),
        ("a.mail.evil.com", true),
        ("evil.com", false),
        (".notevil.com", false),
        (".evil.com.org", false),
        (".", false),
    ] {
        assert_eq!(isset.matches(name.as_bytes()), inside, "{name}");
        assert_eq!(isnotset.matches(name.as_bytes()), !inside, "{name}");
    }
    let plain = used(&sets, "isset,d");
    assert!(plain.matches(b".evil.com") && !plain.matches(b".mail.evil.com"));
}

#[test]
fn a_full_set_refuses_and_counts() {
    let sets = sets();
    let set = used(&sets, "set,small,type string,memcap 1kb");
    let added = (0..1000_u32).filter(|number| set.matches(&number.to_le_bytes())).count();
    let counters = set.set().counters();
    assert!((5..20).contains(&added), "{added}");
    assert_eq!((counters.values, counters.refused), (added, 1000 - added as u64));
    assert!(counters.memory <= 1024);
    // What is removed makes room.
    assert!(used(&sets, "unset,small").matches(&0_u32.to_le_bytes()));
    assert!(set.matches(b"else") && !set.matches(b"more"));
}

#[test]
fn a_file_beyond_the_memcap_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..1000).map(|n| format!("10.0.{}.{}\n", n / 256, n % 256)).collect();
    fs::write(folder.path().join("ips"), lines).unwrap();
    let sets = sets();
    let read = |text: &str| read_in(&sets, &folder.path().join("x.rules"), text);
    let fault = read("isset,ips,type ip,load ips,memcap 10kb").unwrap_err();
    assert!(fault.reason.contains("more than the memcap of 10240"), "{}", fault.reason);
    let set = read("isset,ips,type ip,load ips,memcap 100kb").unwrap();
    assert!(set.matches(&[10, 0, 2, 0]) && !set.matches(&[10, 0, 4, 0]));
    assert_eq!(set.set().counters().values, 1000);
}

#[test]
fn state_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        DatasetSettings { data_folder: folder.path().join("data"), ..DatasetSettings::default() };
    let run = |check: &dyn Fn(&Datasets)| {
        let sets = Datasets::new(settings.clone()).unwrap();
        check(&sets);
        assert!(sets.save_all().is_empty());
    };
    let path = folder.path().join("data/ua.lst");
    run(&|sets| {
        let set = used(sets, "set,ua,type string,state ua.lst");
        assert!(set.matches(b"two") && set.matches(b"one") && set.matches(&[0, 255]));
        assert!(used(sets, "set,ip,type ip,save sub/ip.lst").matches(&[1, 2, 3, 4]));
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "AP8=\nb25l\ndHdv\n");
    assert_eq!(fs::read_to_string(folder.path().join("data/sub/ip.lst")).unwrap(), "1.2.3.4\n");
    fs::write(&path, "AP8=\nb25l,7\ndHdv\n").unwrap();
    run(&|sets| {
        let set = used(sets, "set,ua,type string,state ua.lst");
        assert!(!set.matches(b"one") && set.matches(b"three"));
        let unset = used(sets, "unset,ua");
        assert!(unset.matches(b"two") && !unset.matches(b"two"));
        // Added back, and gone again.
        assert!(set.matches(b"two") && unset.matches(b"two"));
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "AP8=\nb25l,7\ndGhyZWU=\n");
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 2, "a temporary file is left");
}

#[test]
fn what_cannot_be_saved_is_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("taken.lst/full")).unwrap();
    let sets =
        Datasets::new(DatasetSettings { data_folder: folder.path().into(), ..Default::default() })
            .unwrap();
    used(&sets, "set,a,type string,save taken.lst");
    used(&sets, "set,b,type string,save free.lst");
    let failed = sets.save_all();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, folder.path().join("taken.lst"));
    assert!(folder.path().join("free.lst").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
}

#[test]
fn sets_of_the_settings_and_reloads() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("x.rules");
    fs::write(folder.path().join("conf.lst"), "YQ==\n").unwrap();
    fs::write(folder.path().join("rule.lst"), "YQ==\n").unwrap();
    let mut settings =
        DatasetSettings { data_folder: folder.path().into(), ..DatasetSettings::default() };
    for (name, field, value) in [
        ("Conf", "type", "string"),
        ("conf", "load", "conf.lst"),
        ("conf", "memcap", "1mb"),
        ("conf", "hashsize", "1024"),
        ("kept", "type", "md5"),
        ("kept", "state", "kept.lst"),
        ("untyped", "load", "gone.lst"),
    ] {
        settings.set(name, field, value).unwrap();
    }
    for (field, value) in [("type", "text"), ("memcap", "x"), ("colour", "red")] {
        assert_eq!(settings.set("conf", field, value), None);
    }
    let sets = Datasets::new(settings.clone()).unwrap();
    let load = "isset,rule,type string,load rule.lst";
    assert!(used(&sets, "isset,conf").matches(b"a"));
    assert!(read_in(&sets, &rules, load).unwrap().matches(b"a"));
    assert!(used(&sets, "set,kept").matches(&[3; 16]));
    assert!(used(&sets, "set,seen,type string").matches(b"seen"));
    assert!(read(&sets, "isset,untyped").is_err());

    fs::write(folder.path().join("conf.lst"), "Yg==\n").unwrap();
    fs::write(folder.path().join("rule.lst"), "Yg==\n").unwrap();
    let next = sets.next();
    assert!(next.get("rule").is_none() && next.get("CONF").is_some());
    assert!(!used(&next, "isset,conf").matches(b"b"));
    assert!(read_in(&next, &rules, load).unwrap().matches(b"b"));
    assert!(!read_in(&sets, &rules, load).unwrap().matches(b"b"), "the old rules keep theirs");
    assert!(!used(&next, "set,kept").matches(&[3; 16]));
    assert!(!used(&next, "set,seen").matches(b"seen"));
    let names: Vec<_> = next.all().iter().map(|set| set.name().to_owned()).collect();
    assert_eq!(names, ["conf", "kept", "rule", "seen"]);

    settings.set("conf", "load", "gone.lst").unwrap();
    assert!(matches!(Datasets::new(settings), Err(DatasetError::Open { .. })));
}

#[test]
fn each_value_is_new_to_one_worker_only() {
    const VALUES: u32 = 20_000;
    let sets = sets();
    let (set, unset) = (used(&sets, "set,seen,type ipv4"), used(&sets, "unset,seen"));
    let race = |used: &DatasetUse| -> usize {
        std::thread::scope(|scope| {
            let worker =
                |_| scope.spawn(|| (0..VALUES).filter(|n| used.matches(&n.to_be_bytes())).count());
            let workers: Vec<_> = (0..4).map(worker).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        })
    };
    for _ in 0..3 {
        assert_eq!(race(&set), VALUES as usize);
        assert_eq!(set.set().counters().values, VALUES as usize);
        assert_eq!(race(&unset), VALUES as usize);
        assert_eq!(set.set().counters(), DatasetCounters::default());
    }
}

/// The data sets of the conformance suite load as its rules name them.
#[test]
fn every_form_in_the_suite_loads() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/suite/tests");
    let Ok(tests) = fs::read_dir(&suite) else {
        eprintln!("skipped: no suite at {}", suite.display());
        return;
    };
    let mut uses = 0;
    let nested = fs::read_dir(suite.join("datajson")).into_iter().flatten();
    for folder in tests.chain(nested).map(|entry| entry.unwrap().path()) {
        let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|end| end == "rules")) {
            let (sets, text) = (sets(), fs::read(&path).unwrap());
            let parsed = crate::rule::parser::parse_bytes(&Arc::from(&*path), &text);
            for option in parsed.rules.iter().flat_map(|rule| &rule.options) {
                let Some(value) = &option.value else { continue };
                let value = word(&value.node.0);
                let fault = match option.name.node.as_str() {
                    "dataset" => DatasetUse::read(value, &path, &sets).err(),
                    "datarep" => DatarepUse::read(value, &path, &sets).err(),
                    _ => continue,
                };
                uses += 1;
                assert_eq!(fault, None, "{}: {}", path.display(), value.text);
            }
        }
    }
    assert!(uses > 20, "only {uses} uses in {}", suite.display());
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    Test(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3_u8, 0..40_u8).prop_map(|(step, value)| match step {
        0 => Step::Add(value),
        1 => Step::Remove(value),
        _ => Step::Test(value),
    });
    prop::collection::vec(step, 0..300)
}

proptest! {
    /// A set is a set, as long as there is room; without room it is one that some changes did not reach.
    #[test]
    fn behaves_like_a_hash_set(
        steps in steps(),
        loaded in prop::collection::hash_set(0..20_u8, 0..20),
        room in 0..40_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values");
        let text: String = loaded.iter().map(|last| format!("10.0.0.{last}\n")).collect();
        fs::write(&path, text).unwrap();
        let files = Files { load: Some(path), save: None };
        let memcap = room * 80;
        let set = Dataset::open("x", Kind::Ipv4, files, Layout::Csv, None, memcap).unwrap();
        let mut model: HashSet<u8> = loaded;
        let mut refused = 0;
        for step in steps {
            let before = set.counters().refused;
            match step {
                Step::Add(last) => {
                    let done = set.add(&[10, 0, 0, last]);
                    if set.counters().refused == before {
                        prop_assert_eq!(done, model.insert(last));
                    } else {
                        refused += 1;
                        prop_assert!(!done && !model.contains(&last));
                    }
                }
                Step::Remove(last) => {
                    let done = set.remove(&[10, 0, 0, last]);
                    if set.counters().refused == before {
                        prop_assert_eq!(done, model.remove(&last));
                    } else {
                        refused += 1;
                        prop_assert!(!done && model.contains(&last));
                    }
                }
                Step::Test(last) => {
                    prop_assert_eq!(set.contains(&[10, 0, 0, last]), model.contains(&last));
                }
            }
            let changes = set.memory();
            prop_assert!(changes <= memcap);
        }
        let counters = set.counters();
        prop_assert_eq!((counters.values, counters.refused), (model.len(), refused));
        let mut lines: Vec<_> = model.iter().map(|last| format!("10.0.0.{last}")).collect();
        lines.sort_unstable();
        prop_assert_eq!(set.lines(), lines);
    }

    /// What is saved is what is loaded.
    #[test]
    fn lines_are_read_back(values in prop::collection::hash_set(".{1,20}", 0..30)) {
        let sets = sets();
        let set = used(&sets, "set,x,type string");
        values.iter().for_each(|value| assert!(set.matches(value.as_bytes())));
        let text = set.set().lines().join("\n");
        let copy = Dataset::from_bytes(Kind::String, Layout::Csv, text.as_bytes()).unwrap();
        prop_assert_eq!(copy.lines(), set.set().lines());
    }
}
