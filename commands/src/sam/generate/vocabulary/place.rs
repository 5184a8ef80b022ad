//! Where work is done and goods go.

/// A city.
#[derive(Debug, Clone, Copy)]
pub(in crate::sam::generate) struct Place {
    pub city: &'static str,
    pub state: &'static str,
    pub zip: &'static str,
    pub country: &'static str,
}

const fn usa(city: &'static str, state: &'static str, zip: &'static str) -> Place {
    Place { city, state, zip, country: "USA" }
}

/// Cities in the States and their territories.
pub(in crate::sam::generate) const PLACES: &[Place] = &[
    usa("Tampa", "FL", "33612"),
    usa("San Antonio", "TX", "78229"),
    usa("Philadelphia", "PA", "19111"),
    usa("Long Beach", "CA", "90822"),
    usa("Milwaukee", "WI", "53295"),
    usa("Togus", "ME", "04330"),
    usa("Bronx", "NY", "10468"),
    usa("Salt Lake City", "UT", "84148"),
    usa("Portland", "OR", "97239"),
    usa("Bremerton", "WA", "98314"),
    usa("Norfolk", "VA", "23510"),
    usa("Rochester", "MN", "55904"),
    usa("Phoenix", "AZ", "85012"),
    usa("Window Rock", "AZ", "86515"),
    usa("Aberdeen", "SD", "57401"),
    usa("Fort Worth", "TX", "76102"),
    usa("Bethesda", "MD", "20892"),
    usa("Huntsville", "AL", "35812"),
    usa("New Orleans", "LA", "70119"),
    usa("Kansas City", "MO", "64128"),
    usa("Cleveland", "OH", "44106"),
    usa("Boise", "ID", "83702"),
    usa("Anchorage", "AK", "99504"),
    usa("Honolulu", "HI", "96819"),
    usa("Mayagüez", "PR", "00680"),
    usa("San Juan", "PR", "00921"),
    usa("Cañon City", "CO", "81212"),
    usa("Española", "NM", "87532"),
    usa("Coeur d'Alene", "ID", "83814"),
    usa("St. Cloud", "MN", "56303"),
];

/// Places of performance abroad.
pub(in crate::sam::generate) const ABROAD: &[Place] = &[
    Place { city: "Landstuhl", state: "DE-RP", zip: "66849", country: "DEU" },
    Place { city: "Yokosuka", state: "JP-14", zip: "238-0001", country: "JPN" },
    Place { city: "Rota", state: "ES-CA", zip: "11520", country: "ESP" },
    Place { city: "Gyeongnam", state: "KR-48", zip: "", country: "KOR" },
    Place { city: "Hagåtña", state: "", zip: "96910", country: "GUM" },
];
