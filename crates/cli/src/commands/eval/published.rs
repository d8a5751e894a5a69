//! Published figures of the suite, for models of the same shape.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clove::model::{Activation, ClipConfig};
use serde::{Deserialize, Serialize};

use crate::output;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    suite: String,
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    caveat: Option<String>,
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// Figures of a model in %, by column.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: String,
    values: Vec<f64>,
}

fn tables() -> Result<Vec<Table>> {
    let tables = toml::from_str(include_str!("published.toml"));
    let mut tables: BTreeMap<String, _> = tables.context("the published figures")?;
    Ok(tables.remove("tables").unwrap_or_default())
}

/// The published figures of a suite, if the model is a ViT-B/32.
pub fn beside(suite: &str, model: &ClipConfig) -> Result<Option<Table>> {
    let image = &model.image;
    let shape =
        [image.image_size, image.patch_size, image.transformer.width, image.transformer.layers];
    if shape != [224, 32, 768, 12] || model.text.transformer.width != 512 {
        return Ok(None);
    }
    let mut found = tables()?.into_iter().find(|table| table.suite == suite);
    if let Some(table) = &mut found
        && image.transformer.activation != Activation::QuickGelu
    {
        // The most common reason for lower figures.
        let own = "this model uses GELU; OpenAI's weights and their descendants need QuickGELU";
        let caveats = table.caveat.iter().map(String::as_str).chain([own]);
        table.caveat = Some(caveats.collect::<Vec<_>>().join("; "));
    }
    Ok(found)
}

impl Table {
    pub fn words(&self) -> String {
        let mut header = vec!["published, in %".to_owned()];
        header.extend(self.columns.clone());
        let mut rows = vec![header];
        rows.extend(self.rows.iter().map(|row| {
            let values = row.values.iter().map(|value| format!("{value:.1}"));
            std::iter::once(row.model.clone()).chain(values).collect()
        }));
        let caveat = self.caveat.as_ref();
        let caveat = caveat.map_or_else(String::new, |caveat| format!(". Note: {caveat}"));
        format!("{}from {}{caveat}", output::table(&rows), self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_whole_and_stands_beside_models_of_its_shape() {
        let tables = tables().unwrap();
        assert_eq!(tables.len(), 6);
        for table in &tables {
            for row in &table.rows {
                assert_eq!(row.values.len(), table.columns.len(), "{}", table.suite);
                assert!(row.values.iter().all(|value| (0.0..=100.0).contains(value)));
            }
        }
        // The means in the paper's Table 1 of its Table 6.
        let crepe = &tables[0];
        let mean = |row: &Row, columns: std::ops::Range<usize>| {
            let values = &row.values[columns];
            values.iter().sum::<f64>() / values.len() as f64
        };
        for (row, expected) in crepe.rows.iter().zip([
            [80.1, 62.3, 72.8],
            [85.1, 75.3, 85.9],
            [88.2, 74.8, 89.5],
            [88.6, 76.1, 90.5],
            [87.0, 74.6, 85.8],
        ]) {
            let means = [mean(row, 0..3), mean(row, 3..5), mean(row, 5..7)];
            for (found, expected) in means.iter().zip(expected) {
                assert!((found - expected).abs() < 0.16, "{}: {found} {expected}", row.model);
            }
        }
    }
}
