//! The comparer finds what it is for: every kind of finding from a fault that is planted here.

use super::*;

const FACTS: &str = "\
| Row | Setup | Expected |
|---|---|---|
| R02 | conservation | equal |
| T01 | schedule | one run |
| T02 | schedule twice | one run |
| W28 | two queues | two at once |
| D30 | rcu_work | one run |
| DS5 | old documentation | a timeline |
| Q25 | flush of oneself | deadlock |
";

const CONTRACT: &str = "\
# The contract

T01 is named here as well, outside of the table.

## Deviations from Linux

| row | Linux | here | why |
|---|---|---|---|
| W28, W30 | T02 is named in another column | never | one rule |
| Q25; and others | deadlock | BH07 | says nothing |

## Not here

| T02 | another table |
";

const OLDER: &str = "# Linux 6.1\nT01 runs=1\nT02 runs=1 old=1\nW28 most=2\nW30 most=2\n";
const NEWER: &str =
    "# Linux 6.12\nT01 runs=1\nT02 runs=1 old=0\nW28 most=2\nW30 most=2\nQ22 order=AB\n";
/// What is recorded of ours where it may deviate.
const DEVIATING: &str = "W28 most=1\nW30 most=1\n";
const GOOD: &str = "T01 runs=1\nT02 runs=1 old=0\nW28 most=1\nW30 most=1\nQ22 order=AB\n";

fn linux() -> Linux {
    Linux {
        older: answers(OLDER).expect("the older answers are well formed"),
        newer: answers(NEWER).expect("the newer answers are well formed"),
    }
}

/// The findings when ours answers the lines of `GOOD` in runs with seeds from 1, with a change to the last.
fn held(from: &str, to: &str) -> Vec<Finding> {
    let changed = GOOD.replacen(from, to, 1);
    let mut ours = Ours::default();
    for (seed, text) in [(1, GOOD), (2, changed.as_str())] {
        // A line that is taken away is missing in every run.
        let text = if to.is_empty() {
            changed.as_str()
        } else {
            text
        };
        ours.add(seed, &answers(text).expect("our answers are well formed"));
    }
    let deviations = deviations(CONTRACT).expect("the contract has a table");
    hold(&ours, &linux(), &deviations, &deviating())
}

/// The same, but that the older one answers to T02 as the newer one does.
fn alike() -> Linux {
    let mut linux = linux();
    let newer = linux.newer["T02"].clone();
    linux.older.insert("T02".to_owned(), newer);
    linux
}

fn deviating() -> Answers {
    answers(DEVIATING).expect("what is recorded is well formed")
}

#[test]
fn answers_that_agree_or_may_deviate_give_no_finding() {
    assert_eq!(held("T01", "T01"), []);
}

#[test]
fn a_changed_value_is_found_with_its_seed() {
    let found = held("T01 runs=1", "T01 runs=2");
    let [
        Finding::Differs {
            id,
            linux,
            ours,
            seed: 2,
        },
    ] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!(
        (id.as_str(), linux.as_str(), ours.as_str()),
        ("T01", "runs=1", "runs=2")
    );
}

#[test]
fn a_deviation_that_the_table_does_not_name_is_found_in_its_other_columns_and_sections_too() {
    assert_eq!(
        deviations(CONTRACT),
        Ok(["Q25", "W28", "W30"].map(str::to_owned).into())
    );
    let found = held("T02 runs=1 old=0", "T02 runs=1 old=1");
    assert!(
        matches!(found.as_slice(), [Finding::Differs { id, .. }] if id == "T02"),
        "the older kernel's answer does not count where the newer one has one: {found:?}"
    );
}

#[test]
fn a_missing_row_is_found() {
    assert_eq!(
        held("Q22 order=AB\n", ""),
        [Finding::Missing("Q22".to_owned())]
    );
}

#[test]
fn an_unknown_row_is_found() {
    assert_eq!(
        held("Q22 order=AB\n", "Q22 order=AB\nT31 order=BA\n"),
        [Finding::Unknown("T31".to_owned())]
    );
}

#[test]
fn a_deviation_that_is_none_any_more_is_found() {
    let mut ours = Ours::default();
    let text = GOOD.replace("W30 most=1", "W30 most=2");
    ours.add(7, &answers(&text).expect("our answers are well formed"));
    let deviations = deviations(CONTRACT).expect("the contract has a table");
    assert_eq!(
        hold(&ours, &linux(), &deviations, &deviating()),
        [Finding::DoesNotDeviate("W30".to_owned())]
    );
}

#[test]
fn a_deviation_on_some_seeds_only_is_found() {
    let found = held("W28 most=1", "W28 most=2");
    assert!(
        matches!(found.as_slice(), [Finding::Drifts { id, ours, seed: 2, .. }]
            if id == "W28" && ours == "most=2"),
        "{found:?}"
    );
}

#[test]
fn a_deviation_that_is_another_one_or_not_recorded_is_found() {
    let found = held("W28 most=1", "W28 most=0");
    assert!(
        matches!(found.as_slice(), [Finding::Drifts { recorded: Some(recorded), .. }]
            if recorded == "most=1"),
        "{found:?}"
    );
    let mut ours = Ours::default();
    ours.add(1, &answers(GOOD).expect("our answers are well formed"));
    let deviations = deviations(CONTRACT).expect("the contract has a table");
    let found = hold(&ours, &linux(), &deviations, &Answers::new());
    assert!(
        matches!(
            found.as_slice(),
            [
                Finding::Drifts { recorded: None, .. },
                Finding::Drifts { recorded: None, .. }
            ]
        ),
        "{found:?}"
    );
}

#[test]
fn a_hang_is_found_where_a_deviation_is_allowed_too() {
    let found = held("W28 most=1", "W28 HANG a gate");
    assert!(
        matches!(found.as_slice(), [Finding::Hangs { id, ours, seed: 2 }]
            if id == "W28" && ours == "HANG a gate"),
        "{found:?}"
    );
}

#[test]
fn a_row_that_nobody_was_asked_is_found_and_the_list_exempts() {
    let (rows, kernels) = (rows(FACTS), linux());
    let deviations = deviations(CONTRACT).expect("the contract has a table");
    assert!(
        !rows.contains("R02"),
        "conservation is asked by rows of works"
    );
    assert_eq!(asked(&rows, &kernels, &deviations), []);

    let mut fewer = kernels.clone();
    fewer.older.remove("T01");
    assert_eq!(asked(&rows, &fewer, &deviations), []);
    fewer.newer.remove("T01");
    assert_eq!(
        asked(&rows, &fewer, &deviations),
        [Finding::NotAsked("T01".to_owned())]
    );

    let mut more = kernels;
    more.newer.insert("D30".to_owned(), "runs=1".to_owned());
    assert_eq!(
        asked(&rows, &more, &deviations),
        [Finding::Askable("D30".to_owned())]
    );
}

#[test]
fn a_deviation_of_no_row_is_found() {
    let contract = CONTRACT.replace("W28, W30", "W28, W30, W999");
    let deviations = deviations(&contract).expect("the contract has a table");
    assert_eq!(
        asked(&rows(FACTS), &linux(), &deviations),
        [Finding::NoSuchRow("W999".to_owned())]
    );
}

#[test]
fn an_answer_that_is_recorded_of_one_kernel_only_is_found() {
    let facts = format!("{FACTS}| Q22 | 6.9+: a BH queue | A, B |\n| W30 | again | two |\n");
    let deviations = deviations(CONTRACT).expect("the contract has a table");
    let kept = |linux: &Linux| kept(&facts, linux, &deviations, &deviating());
    assert_eq!(kept(&alike()), []);
    assert_eq!(later_rows(&facts), ["Q22".to_owned()].into());

    let lost = |id: &str, missing| Finding::AskedOfOne {
        id: id.to_owned(),
        missing,
    };
    let mut fewer = alike();
    fewer.older.remove("T01");
    fewer.newer.remove("T02");
    assert_eq!(kept(&fewer), [lost("T01", "6.1"), lost("T02", "6.12")]);

    let mut beyond = alike();
    beyond.newer.insert("T401".to_owned(), "runs=1".to_owned());
    assert_eq!(
        kept(&beyond),
        [],
        "beyond the rows the newer kernel is enough"
    );
}

#[test]
fn what_is_recorded_of_a_row_or_deviation_that_is_gone_is_found() {
    let facts = format!("{FACTS}| Q22 | 6.9+: a BH queue | A, B |\n| W30 | again | two |\n");
    let named = deviations(CONTRACT).expect("the contract has a table");
    let without = facts.replace("| T01 ", "| gone ");
    assert_eq!(
        kept(&without, &alike(), &named, &deviating()),
        [Finding::RowIsGone("T01".to_owned())]
    );
    let fewer = deviations(&CONTRACT.replace("W28, W30", "W28")).expect("the contract has a table");
    assert_eq!(
        kept(&facts, &alike(), &fewer, &deviating()),
        [Finding::NotNamed("W30".to_owned())]
    );
}

#[test]
fn kernels_that_differ_unknown_or_agree_where_they_are_known_to_differ_are_found() {
    let facts = format!("{FACTS}| Q22 | 6.9+: a BH queue | A, B |\n| W30 | again | two |\n");
    let named = deviations(CONTRACT).expect("the contract has a table");
    let unknown = |id: &str, differ| Finding::KernelsDiffer {
        id: id.to_owned(),
        differ,
    };
    assert_eq!(
        kept(&facts, &linux(), &named, &deviating()),
        [unknown("T02", true)]
    );
    let mut known = alike();
    for answers in [&mut known.older, &mut known.newer] {
        answers.insert("W454".to_owned(), "after=0".to_owned());
    }
    assert_eq!(
        kept(&facts, &known, &named, &deviating()),
        [unknown("W454", false)]
    );
    known.older.insert("W454".to_owned(), "after=1".to_owned());
    assert_eq!(kept(&facts, &known, &named, &deviating()), []);
}

#[test]
fn a_row_that_may_not_deviate_is_found_though_the_contract_names_it() {
    let facts = format!("{FACTS}| Q22 | 6.9+: a BH queue | A, B |\n| W30 | again | two |\n");
    let contract = CONTRACT.replace("W28, W30", "W28, W30, T01, W401");
    let named = deviations(&contract).expect("the contract has a table");
    let mut recorded = deviating();
    recorded.insert("T01".to_owned(), "runs=2".to_owned());
    recorded.insert("W401".to_owned(), "runs=2".to_owned());
    assert_eq!(
        kept(&facts, &alike(), &named, &recorded),
        [Finding::MayNotDeviate("T01".to_owned())]
    );
}

#[test]
fn kernels_that_disagree_are_told() {
    assert_eq!(
        linux().disagreements(),
        [("T02", "runs=1 old=1", "runs=1 old=0")]
    );
}

#[test]
fn lines_that_are_no_answers_are_refused() {
    for (text, why) in [
        ("T01", "answers nothing"),
        ("hello world", "begin with an id"),
        ("X01 runs=1", "begin with an id"),
        ("T1 runs=1", "begin with an id"),
        ("T01 runs=1\nT01 runs=1", "answered twice"),
    ] {
        let error = answers(text).expect_err(text);
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(
        deviations("# No table\n").expect_err("no table"),
        "the contract has no section `Deviations from Linux`"
    );
}
