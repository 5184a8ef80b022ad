//! Places of performance.

#[derive(Debug, Clone, Copy)]
pub(in crate::notice_generator) struct DeliveryPlace {
    pub city: &'static str,
    pub state: &'static str,
    pub zip: &'static str,
    pub country: &'static str,
}

const fn new_us_place(city: &'static str, state: &'static str, zip: &'static str) -> DeliveryPlace {
    DeliveryPlace { city, state, zip, country: "USA" }
}

/// Places in the United States and their territories.
pub(in crate::notice_generator) const PLACES: &[DeliveryPlace] = &[
    new_us_place("Tampa", "FL", "33612"),
    new_us_place("San Antonio", "TX", "78229"),
    new_us_place("Philadelphia", "PA", "19111"),
    new_us_place("Long Beach", "CA", "90822"),
    new_us_place("Milwaukee", "WI", "53295"),
    new_us_place("Togus", "ME", "04330"),
    new_us_place("Bronx", "NY", "10468"),
    new_us_place("Salt Lake City", "UT", "84148"),
    new_us_place("Portland", "OR", "97239"),
    new_us_place("Bremerton", "WA", "98314"),
    new_us_place("Norfolk", "VA", "23510"),
    new_us_place("Rochester", "MN", "55904"),
    new_us_place("Phoenix", "AZ", "85012"),
    new_us_place("Window Rock", "AZ", "86515"),
    new_us_place("Aberdeen", "SD", "57401"),
    new_us_place("Fort Worth", "TX", "76102"),
    new_us_place("Bethesda", "MD", "20892"),
    new_us_place("Huntsville", "AL", "35812"),
    new_us_place("New Orleans", "LA", "70119"),
    new_us_place("Kansas City", "MO", "64128"),
    new_us_place("Cleveland", "OH", "44106"),
    new_us_place("Boise", "ID", "83702"),
    new_us_place("Anchorage", "AK", "99504"),
    new_us_place("Honolulu", "HI", "96819"),
    new_us_place("Mayagüez", "PR", "00680"),
    new_us_place("San Juan", "PR", "00921"),
    new_us_place("Cañon City", "CO", "81212"),
    new_us_place("Española", "NM", "87532"),
    new_us_place("Coeur d'Alene", "ID", "83814"),
    new_us_place("St. Cloud", "MN", "56303"),
];

/// Places of performance abroad.
pub(in crate::notice_generator) const ABROAD: &[DeliveryPlace] = &[
    DeliveryPlace { city: "Landstuhl", state: "DE-RP", zip: "66849", country: "DEU" },
    DeliveryPlace { city: "Yokosuka", state: "JP-14", zip: "238-0001", country: "JPN" },
    DeliveryPlace { city: "Rota", state: "ES-CA", zip: "11520", country: "ESP" },
    DeliveryPlace { city: "Gyeongnam", state: "KR-48", zip: "", country: "KOR" },
    DeliveryPlace { city: "Hagåtña", state: "", zip: "96910", country: "GUM" },
];
