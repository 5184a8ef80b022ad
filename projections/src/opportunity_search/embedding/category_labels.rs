//! Labels of product and service codes, in words that a language model understands.
//!
//! A title such as `25--TOWBAR` has little meaning for a model, but the code in front of it means "vehicle parts". The
//! labels paraphrase the groups of the federal Product and Service Code manual, in more detail for medical goods.

/// Label by code or code prefix, sorted by code.
const LABELS: &[(&str, &str)] = &[
    ("10", "weapons guns rifles"),
    ("12", "fire control"),
    ("13", "ammunition explosives cartridges bombs"),
    ("14", "guided missiles"),
    ("15", "aircraft airframe structural parts"),
    ("16", "aircraft components accessories"),
    ("17", "aircraft ground handling equipment"),
    ("18", "space vehicles"),
    ("19", "ships boats"),
    ("20", "ship marine equipment"),
    ("22", "railway equipment"),
    ("23", "motor vehicles trucks trailers"),
    ("24", "tractors"),
    ("25", "vehicle parts brakes"),
    ("26", "tires tubes"),
    ("28", "engines turbines components"),
    ("29", "engine accessories"),
    ("30", "mechanical power transmission gears"),
    ("31", "bearings"),
    ("32", "woodworking machinery"),
    ("34", "metalworking machinery"),
    ("35", "service trade equipment"),
    ("36", "special industry machinery"),
    ("37", "agricultural machinery"),
    ("38", "construction excavating equipment"),
    ("39", "materials handling equipment"),
    ("40", "rope cable chain"),
    ("41", "refrigeration air conditioning"),
    ("42", "fire fighting rescue safety equipment"),
    ("43", "pumps compressors"),
    ("44", "furnace steam boiler"),
    ("45", "plumbing heating waste disposal equipment"),
    ("46", "water purification sewage treatment"),
    ("47", "pipe tubing hose fittings"),
    ("48", "valves"),
    ("49", "maintenance repair shop equipment"),
    ("51", "hand tools"),
    ("52", "measuring tools"),
    ("53", "hardware screws bolts fasteners"),
    ("54", "prefabricated structures scaffolding"),
    ("55", "lumber millwork"),
    ("56", "construction building materials"),
    ("58", "communication radio radar equipment"),
    ("59", "electrical electronic components connectors circuit"),
    ("60", "fiber optics"),
    ("61", "electric wire power distribution"),
    ("62", "lighting fixtures lamps"),
    ("63", "alarm signal security"),
    ("65", "medical dental veterinary equipment supplies"),
    ("6505", "drugs medicines pharmaceuticals vaccines"),
    ("6510", "surgical dressing bandages"),
    ("6515", "medical surgical instruments hospital"),
    ("6520", "dental"),
    ("6525", "imaging x-ray radiology"),
    ("6530", "hospital furniture beds wheelchairs patient lifts"),
    ("6532", "hospital clothing linen"),
    ("6540", "ophthalmic eyeglasses"),
    ("6545", "medical first aid kits"),
    ("6550", "laboratory diagnostics reagents"),
    ("66", "instruments laboratory equipment"),
    ("6640", "laboratory equipment"),
    ("67", "photographic equipment"),
    ("68", "chemicals"),
    ("69", "training aids"),
    ("70", "information technology computers software"),
    ("71", "furniture"),
    ("72", "household furnishings appliances"),
    ("73", "food preparation serving equipment"),
    ("74", "office machines"),
    ("75", "office supplies"),
    ("76", "books maps publications"),
    ("77", "musical instruments audio"),
    ("78", "recreational athletic equipment"),
    ("79", "cleaning equipment supplies"),
    ("7A", "software"),
    ("80", "brushes paints adhesives"),
    ("81", "containers packaging"),
    ("83", "textiles leather tents flags"),
    ("84", "clothing uniforms footwear"),
    ("85", "toiletries"),
    ("87", "agricultural supplies"),
    ("88", "live animals"),
    ("89", "food subsistence meat dairy bread vegetables beverages"),
    ("91", "fuels lubricants oils"),
    ("93", "nonmetallic materials"),
    ("94", "crude materials"),
    ("95", "metal bars sheets"),
    ("96", "ores minerals"),
    ("99", "miscellaneous"),
    ("A", "research development"),
    ("B", "studies analysis"),
    ("C", "architect engineering services"),
    ("D", "information technology telecommunications services"),
    ("E", "purchase of buildings"),
    ("F", "environmental natural resources conservation"),
    ("G", "social services"),
    ("H", "quality control testing inspection"),
    ("J", "maintenance repair of equipment"),
    ("J019", "ship repair"),
    ("J020", "ship repair"),
    ("J998", "ship repair"),
    ("J999", "ship repair drydock"),
    ("K", "modification of equipment"),
    ("L", "technical representative"),
    ("M", "operation of facilities"),
    ("N", "installation of equipment"),
    ("P", "salvage"),
    ("Q", "medical health care hospital nursing services"),
    ("R", "professional administrative support services"),
    ("S", "utilities housekeeping"),
    ("S2", "housekeeping"),
    ("S201", "custodial janitorial cleaning"),
    ("S205", "trash waste collection"),
    ("S208", "landscaping groundskeeping"),
    ("T", "photographic mapping printing"),
    ("U", "education training"),
    ("V", "transportation travel"),
    ("W", "lease rental of equipment"),
    ("X", "lease rental of buildings"),
    ("Y", "construction of buildings"),
    ("Z", "maintenance repair alteration of buildings"),
];

/// Services on goods: the last two digits of their codes are the group of the goods.
const SERVICES_ON_GOODS: &[&str] = &["H0", "J0", "K0", "L0", "N0", "W0"];

/// The group of the goods that a service is about: `65` for `J065`, the repair of medical equipment.
pub(in crate::opportunity_search) fn find_goods_group(code: &str) -> Option<&str> {
    let (service, group) = code.split_at_checked(2)?;
    (group.len() == 2 && SERVICES_ON_GOODS.contains(&service)).then_some(group)
}

/// The labels of a code, from the widest group to the narrowest, with the goods that a service is about.
pub(super) fn category_label(code: &str) -> Option<String> {
    let prefix_label = |length: usize| code.get(..length).and_then(find_label);
    let goods = find_goods_group(code).and_then(find_label);
    let labels: Vec<&str> = [prefix_label(1), prefix_label(2), prefix_label(4), goods].into_iter().flatten().collect();
    (!labels.is_empty()).then(|| labels.join(" "))
}

/// All codes that have a label.
pub(super) fn labelled_codes() -> impl Iterator<Item = &'static str> {
    LABELS.iter().map(|(code, _)| *code)
}

fn find_label(code: &str) -> Option<&'static str> {
    LABELS.binary_search_by_key(&code, |(known, _)| known).ok().map(|index| LABELS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_code_is_found() {
        assert!(LABELS.is_sorted_by_key(|(code, _)| code));
        assert!(labelled_codes().all(|code| category_label(code).is_some()));
    }

    #[test]
    fn labels_are_ordered_from_group_to_class() {
        let label = |code| category_label(code).unwrap_or_default();
        assert!(label("6505").starts_with("medical dental") && label("6505").ends_with("vaccines"));
        assert_eq!(label("48"), "valves");
        assert_eq!(label("4810"), "valves");
        assert_eq!(label("J065"), "maintenance repair of equipment medical dental veterinary equipment supplies");
        assert_eq!(label("?"), "");
        assert_eq!(label("é"), "");
    }
}
