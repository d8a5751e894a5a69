//! The page and the chart of complete, partial and broken reports.

use clove_lab::{BlindRow, Curve, Example, Figure, ModelRow, Report, Settings, Sweep, SweepPoint};

use super::{alpha_curve_svg, page};

const KINDS: [&str; 3] = ["replace_obj", "replace_att", "swap_obj"];

fn model(name: &str, composition: [f64; 3], recognition: [f64; 3], alphas: &[f64]) -> ModelRow {
    ModelRow {
        name: name.to_owned(),
        about: format!("How {name} was made."),
        composition: Figure::over(&composition),
        kinds: KINDS.iter().map(|kind| ((*kind).to_owned(), Figure::over(&composition))).collect(),
        recognition: Figure::over(&recognition),
        alphas: alphas.to_vec(),
    }
}

fn point(alpha: f64, shift: f64) -> SweepPoint {
    SweepPoint {
        alpha,
        composition: 0.55 + 0.25 * alpha + shift,
        recognition: 0.86 - 0.06 * alpha * alpha + shift,
    }
}

fn report() -> Report {
    Report {
        version: "0.1.0".to_owned(),
        settings: Settings {
            seeds: vec![1, 2, 3],
            device: "Some GPU".to_owned(),
            parameters: 1_234_567,
            steps: 600,
            batch: 128,
            learning_rate: 3e-4,
            image_rate: 0.5,
            negatives_per_caption: 3,
            composition_rows: 2800,
            recognition_rows: 1000,
            classes: ["star", "moon", "heart", "cross"].map(str::to_owned).to_vec(),
            from_scratch: false,
            seconds: 754.2,
        },
        models: vec![
            model("Pretrained", [0.55; 3], [0.86; 3], &[]),
            model("CLoVe, unpatched", [0.79, 0.80, 0.81], [0.79, 0.80, 0.81], &[]),
            model("CLoVe, patched", [0.74, 0.75, 0.76], [0.857; 3], &[0.6, 0.6, 0.6]),
        ],
        blind: vec![BlindRow {
            name: "shorter text".to_owned(),
            composition: 0.5,
            kinds: KINDS.iter().map(|kind| ((*kind).to_owned(), 0.5)).collect(),
        }],
        sweeps: (0..3u32)
            .map(|seed| {
                let shift = f64::from(seed) * 0.004;
                Sweep {
                    seed: u64::from(seed) + 1,
                    validation: (0..=10).map(|step| point(f64::from(step) / 10.0, shift)).collect(),
                    chosen: 0.6,
                    test: [0.0, 0.6, 1.0].map(|alpha| point(alpha, shift - 0.01)).to_vec(),
                }
            })
            .collect(),
        rule: "The largest composition on validation that loses at most one point.".to_owned(),
        curves: vec![Curve {
            name: "CLoVe, unpatched".to_owned(),
            loss: (1..=60).map(|step| (step * 10, 3.0 / step as f64)).collect(),
            composition: vec![(0, 0.55), (300, 0.7), (600, 0.8)],
            recognition: vec![(0, 0.86), (300, 0.82), (600, 0.8)],
        }],
        examples: vec![Example {
            kind: "swap_obj".to_owned(),
            caption: "a star above a moon".to_owned(),
            negative: "a moon above a star".to_owned(),
            picture: "data:image/png;base64,iVBORw0KGgo=".to_owned(),
            scores: vec![
                ("Pretrained".to_owned(), 0.30, 0.31),
                ("CLoVe, patched".to_owned(), 0.34, 0.28),
                ("a tie".to_owned(), 0.25, 0.25),
            ],
        }],
    }
}

/// The text without tags.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for letter in html.chars() {
        match letter {
            '<' => is_tag = true,
            '>' => is_tag = false,
            _ if !is_tag => text.push(letter),
            _ => {}
        }
    }
    text
}

/// Every element that is opened is closed in order, and no attribute holds a bare `<`.
fn assert_balanced(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag that ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "a tag within a tag: {tag}");
        let name = tag.trim_start_matches('/');
        let name = &name[..name.find([' ', '/']).unwrap_or(name.len())];
        if tag.starts_with('!') || tag.ends_with('/') || ["meta", "link", "img"].contains(&name) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn assert_sound(report: &Report) -> (String, String) {
    let (page, svg) = (page(report), alpha_curve_svg(report));
    for text in [&page, &svg] {
        assert_balanced(text);
        for word in ["NaN", "inf", "null"] {
            assert!(
                !text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word),
                "{word} stands in the page"
            );
        }
    }
    (page, svg)
}

#[test]
fn states_the_finding_in_figures() {
    let (page, _) = assert_sound(&report());
    let text = text_of(&page);
    for part in [
        "raised composition by 25.0\u{a0}points (55.0\u{202f}% to 80.0\u{202f}%)",
        "lowered recognition by 6.0\u{a0}points (86.0\u{202f}% to 80.0\u{202f}%)",
        "with α\u{a0}=\u{a0}0.6 restored 5.7\u{a0}points of recognition (to 85.7\u{202f}%)",
        "20.0\u{a0}points above the pretrained model (75.0\u{202f}%)",
        "means over 3 seeds",
        "clove lab --seeds 3",
        "1\u{202f}234\u{202f}567",
        "12 min 34 s",
        "batch size 128, peak learning rate 3e\u{2212}4",
    ] {
        assert!(text.contains(part), "{part:?} is not in the page");
    }
}

#[test]
fn table_has_spread_and_difference() {
    let (page, _) = assert_sound(&report());
    assert!(page.contains(
        r#"<b>80.0</b> <span class="spread">± 1.0</span><small class="delta up">+25.0</small>"#
    ));
    assert!(page.contains(r#"<small class="delta down">−6.0</small>"#));
    assert!(page.contains(r#"<th class="over" scope="colgroup" colspan="2">replace</th>"#));
    assert!(page.contains("Blind baselines (no picture)"));
}

#[test]
fn words_follow_the_signs() {
    let mut turned = report();
    turned.models[1].composition.mean = 0.5;
    turned.models[1].recognition.mean = 0.9;
    turned.models[2].composition.mean = 0.55;
    turned.models[2].recognition.mean = 0.88;
    let text = text_of(&assert_sound(&turned).0);
    assert!(text.contains("lowered composition by 5.0\u{a0}points"));
    assert!(text.contains("raised recognition by 4.0\u{a0}points"));
    assert!(text.contains("lowered recognition by 2.0\u{a0}points"));
    assert!(text.contains("composition is then equal to the pretrained model's"));
}

#[test]
fn fetches_nothing() {
    let mut outside = report();
    outside.examples[0].picture = "https://example.org/a.png".to_owned();
    for report in [&report(), &outside] {
        let (page, svg) = assert_sound(report);
        for part in
            ["http:", "https:", "src=\"//", "url(", "@import", "<script", "<link rel=\"style"]
        {
            assert!(!page.contains(part), "{part} stands in the page");
        }
        let svg = svg.replacen("http://www.w3.org/2000/svg", "", 1);
        for part in ["http", "url(", "href", "<script", "@import", "<image"] {
            assert!(!svg.contains(part), "{part} stands in the SVG");
        }
    }
    assert!(page(&outside).contains("no picture"));
}

#[test]
fn escapes_all_text() {
    const EVIL: &str = "<script>alert(\"x\")</script>&'\u{0}";
    let mut evil = report();
    evil.version = EVIL.to_owned();
    evil.rule = EVIL.to_owned();
    evil.settings.device = EVIL.to_owned();
    evil.settings.classes = vec![EVIL.to_owned()];
    for model in &mut evil.models {
        model.name = EVIL.to_owned();
        model.about = EVIL.to_owned();
        model.kinds[0].0 = EVIL.to_owned();
        model.kinds[1].0 = format!("{EVIL}_{EVIL}");
    }
    evil.blind[0].name = EVIL.to_owned();
    evil.curves[0].name = EVIL.to_owned();
    let example = &mut evil.examples[0];
    example.kind = EVIL.to_owned();
    example.caption = EVIL.to_owned();
    example.negative = EVIL.to_owned();
    example.picture = format!("data:image/png,{EVIL}");
    example.scores[0].0 = EVIL.to_owned();
    let (page, _) = assert_sound(&evil);
    assert!(!page.contains("<script"));
    assert!(!page.contains('\u{0}'));
    let escaped = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;'\u{fffd}";
    assert!(page.contains(&format!("<p class=\"kind\">{escaped}</p>")), "not in content");
    assert!(page.contains(&format!("alt=\"{escaped}\"")), "not in attributes");
}

#[test]
fn holds_with_nothing_in_it() {
    let mut empty = report();
    empty.models.clear();
    empty.blind.clear();
    empty.sweeps.clear();
    empty.curves.clear();
    empty.examples.clear();
    empty.settings.seeds.clear();
    empty.settings.classes.clear();
    let (page, svg) = assert_sound(&empty);
    assert!(page.contains("no model results"));
    assert!(page.contains("No alpha curve in this run."));
    assert!(svg.contains("No alpha curve in this run."));
    assert!(!page.contains("Learning curves"));
    assert!(page.contains("clove lab --seeds 1"));
}

#[test]
fn holds_with_one_model_of_one_seed() {
    let mut one = report();
    one.models.truncate(1);
    one.models[0].composition = Figure::over(&[0.55]);
    one.settings.seeds.truncate(1);
    one.sweeps.truncate(1);
    let (page, _) = assert_sound(&one);
    assert!(page.contains("Pretrained reaches 55.0\u{202f}%"));
    assert!(!page.contains("standard deviation"));
    assert!(!page.contains(r#"<small class="delta"#));
}

#[test]
fn figures_that_are_none_stand_as_dashes() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        let mut broken = report();
        for model in &mut broken.models {
            model.composition = Figure { mean: bad, spread: Some(bad) };
            model.alphas = vec![bad];
        }
        broken.blind[0].composition = bad;
        for sweep in &mut broken.sweeps {
            sweep.validation[3].composition = bad;
            sweep.test[1].recognition = bad;
            sweep.validation[0].alpha = bad;
            sweep.chosen = bad;
        }
        broken.curves[0].loss[5].1 = bad;
        broken.curves[0].composition = vec![(0, bad)];
        broken.examples[0].scores[0].1 = bad as f32;
        broken.settings.seconds = bad;
        broken.settings.learning_rate = bad;
        let (page, svg) = assert_sound(&broken);
        assert!(page.contains(r#"<td class="n">–</td>"#));
        assert!(!svg.contains("1000000000"));
    }
}

#[test]
fn points_in_one_place_and_steps_in_one_place() {
    let mut still = report();
    for sweep in &mut still.sweeps {
        for point in sweep.validation.iter_mut().chain(&mut sweep.test) {
            point.composition = 1.0;
            point.recognition = 0.0;
        }
    }
    still.curves[0].loss = vec![(usize::MAX, 0.0); 3];
    still.curves[0].composition = vec![(7, 0.5)];
    let (_, svg) = assert_sound(&still);
    assert_eq!(svg.matches(r#"class="label""#).count(), 3);
}

#[test]
fn labels_never_cover_each_other() {
    let mut crowded = report();
    for (seed, sweep) in crowded.sweeps.iter_mut().enumerate() {
        sweep.chosen = [0.5, 0.6, 0.8][seed];
        for point in &mut sweep.validation {
            point.composition += seed as f64 * 0.03;
        }
    }
    let svg = alpha_curve_svg(&crowded);
    let mut boxes: Vec<super::chart::Area> = Vec::new();
    for part in svg.split(r#"class="label""#).skip(1) {
        let number = |name: &str| -> f64 {
            let start = part.find(name).expect("attribute") + name.len();
            let end = start + part[start..].find('"').expect("quote");
            part[start..end].parse().expect("number")
        };
        let text = &part[part.find('>').expect("tag end") + 1..part.find('<').expect("end")];
        let (x, y) = (number(" x=\""), number(" y=\""));
        let half = super::chart::text_width(text, 14.0) / 2.0;
        let area =
            super::chart::Area { left: x - half, top: y - 12.0, right: x + half, bottom: y + 3.0 };
        assert!(boxes.iter().all(|other| !other.meets(&area)), "{text}");
        boxes.push(area);
    }
    assert!(boxes.len() >= 3, "{} labels", boxes.len());
}

#[test]
fn one_line_and_all_marks_for_each_seed() {
    let svg = alpha_curve_svg(&report());
    assert_eq!(svg.matches("alpha 0.6, validation").count(), 3);
    assert_eq!(svg.matches(", test: composition").count(), 9);
    // One in the legend and one in the plot.
    assert_eq!(svg.matches(r#"class="line""#).count(), 6);
}
