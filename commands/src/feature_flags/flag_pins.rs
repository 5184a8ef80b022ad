//! Variants that the settings of a program name; they override the log.
//!
//! | variable | setting | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__FLAGS__SEARCH__RANKING` | `flags.search.ranking` | variant of the flag `search.ranking` for all tenants, in this program only |
//! | `MEDHUB__FLAGS__PROPOSAL_GENERATION__PROMPT` | `flags.proposal-generation.prompt` | the same for `proposal-generation.prompt`: an underscore stands for a hyphen |
//!
//! `true` and `false` are the variants `on` and `off`.

use std::{collections::BTreeMap, fmt};

use domain::{
    feature_flag::{FlagKey, VariantName},
    value::InvalidValue,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

/// Maximum number of pinned flags.
const MAX_PINS: usize = 100;

/// How deep the settings of pins may be nested: a key has at most as many dots.
const MAX_DEPTH: usize = 10;

/// The pinned variants, by the keys of their flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FlagPins(BTreeMap<FlagKey, VariantName>);

impl FlagPins {
    /// Pins each of these flags to a variant.
    ///
    /// # Errors
    /// [`InvalidValue`] for an invalid key or variant, and for more than 100 flags.
    pub fn try_new<K: AsRef<str>, V: AsRef<str>>(pins: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidValue> {
        let parse =
            |(key, variant): (K, V)| Ok((FlagKey::try_new(key.as_ref())?, VariantName::try_new(variant.as_ref())?));
        let pins = pins.into_iter().take(MAX_PINS + 1).map(parse).collect::<Result<BTreeMap<_, _>, _>>()?;
        if pins.len() > MAX_PINS {
            return Err(InvalidValue::TooMany { what: "pinned flags", max: MAX_PINS });
        }
        Ok(Self(pins))
    }

    /// The variant of a flag; `None` if it is not pinned.
    pub fn find(&self, key: &str) -> Option<&VariantName> {
        // A few at most; comparing texts spares building a key.
        self.0.iter().find(|(pinned, _)| pinned.as_str() == key).map(|(_, variant)| variant)
    }

    /// All pins, by the keys of their flags.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&FlagKey, &VariantName)> {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for FlagPins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sections = BTreeMap::<String, PinSetting>::deserialize(deserializer)?;
        let mut pins = vec![];
        for (name, setting) in sections {
            setting.flatten(&name.replace('_', "-"), 0, &mut pins).map_err(D::Error::custom)?;
        }
        Self::try_new(pins).map_err(D::Error::custom)
    }
}

/// A setting below `flags`.
enum PinSetting {
    Variant(String),
    Section(BTreeMap<String, PinSetting>),
}

impl PinSetting {
    fn flatten(self, key: &str, depth: usize, pins: &mut Vec<(String, String)>) -> Result<(), String> {
        match self {
            Self::Variant(variant) => pins.push((key.to_owned(), variant)),
            Self::Section(_) if depth >= MAX_DEPTH => return Err(format!("{key} is nested too deeply")),
            Self::Section(sections) => {
                for (name, setting) in sections {
                    setting.flatten(&format!("{key}.{}", name.replace('_', "-")), depth + 1, pins)?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for PinSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PinSettingVisitor)
    }
}

struct PinSettingVisitor;

impl<'de> Visitor<'de> for PinSettingVisitor {
    type Value = PinSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a variant")
    }

    fn visit_str<E: Error>(self, variant: &str) -> Result<PinSetting, E> {
        match variant {
            "true" => self.visit_bool(true),
            "false" => self.visit_bool(false),
            _ => Ok(PinSetting::Variant(variant.to_owned())),
        }
    }

    fn visit_bool<E: Error>(self, is_on: bool) -> Result<PinSetting, E> {
        let variant = if is_on { VariantName::on() } else { VariantName::off() };
        Ok(PinSetting::Variant(variant.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PinSetting, A::Error> {
        let mut sections = BTreeMap::new();
        while let Some((name, setting)) = map.next_entry()? {
            sections.insert(name, setting);
        }
        Ok(PinSetting::Section(sections))
    }
}
