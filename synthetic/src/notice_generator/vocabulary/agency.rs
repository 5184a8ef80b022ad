//! Departments with their codes, and their contracting offices.

use super::MarketSector;

/// A department and one of the agencies below it.
#[derive(Debug)]
pub(in crate::notice_generator) struct BuyingAgency {
    pub sector: MarketSector,
    /// Weight among the agencies of its sector.
    pub weight: u32,
    pub department: &'static str,
    /// Common Government-wide Accounting Classification.
    pub cgac: &'static str,
    pub sub_tier: &'static str,
    /// Code of the sub-tier in the procurement data system.
    pub fpds: &'static str,
    pub offices: &'static [ContractingOffice],
}

/// A contracting office.
#[derive(Debug)]
pub(in crate::notice_generator) struct ContractingOffice {
    pub name: &'static str,
    /// Activity address code; its solicitations start with it.
    pub aac: &'static str,
    pub city: &'static str,
    pub state: &'static str,
    pub zip: &'static str,
}

const fn new_office(name: &'static str, aac: &'static str, [city, state, zip]: [&'static str; 3]) -> ContractingOffice {
    ContractingOffice { name, aac, city, state, zip }
}

pub(in crate::notice_generator) const AGENCIES: &[BuyingAgency] = &[
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 30,
        department: "VETERANS AFFAIRS, DEPARTMENT OF",
        cgac: "036",
        sub_tier: "VETERANS AFFAIRS, DEPARTMENT OF",
        fpds: "3600",
        offices: &[
            new_office("241-NETWORK CONTRACT OFFICE 01 (36C241)", "36C241", ["TOGUS", "ME", "04330"]),
            new_office("242-NETWORK CONTRACT OFFICE 02 (36C242)", "36C242", ["BRONX", "NY", "10468"]),
            new_office("245-NETWORK CONTRACT OFFICE 5 (36C245)", "36C245", ["LINTHICUM", "MD", "21090"]),
            new_office("248-NETWORK CONTRACT OFFICE 8 (36C248)", "36C248", ["TAMPA", "FL", "33637"]),
            new_office("252-NETWORK CONTRACT OFFICE 12 (36C252)", "36C252", ["MILWAUKEE", "WI", "53214"]),
            new_office("257-NETWORK CONTRACT OFFICE 17 (36C257)", "36C257", ["SAN ANTONIO", "TX", "78229"]),
            new_office("262-NETWORK CONTRACT OFFICE 22 (36C262)", "36C262", ["LONG BEACH", "CA", "90815"]),
            new_office("NATIONAL ACQUISITION CENTER (36A797)", "36A797", ["HINES", "IL", "60141"]),
            new_office("DENVER LOGISTICS CENTER (36A791)", "36A791", ["GOLDEN", "CO", "80401"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 16,
        department: "DEPT OF DEFENSE",
        cgac: "097",
        sub_tier: "DEFENSE LOGISTICS AGENCY",
        fpds: "97AS",
        offices: &[
            new_office("DLA TROOP SUPPORT MEDICAL", "SPE2D1", ["PHILADELPHIA", "PA", "19111-5096"]),
            new_office("DLA TROOP SUPPORT MEDICAL EQUIPMENT", "SPE2DH", ["PHILADELPHIA", "PA", "19111-5096"]),
            new_office("DLA TROOP SUPPORT PHARMACEUTICALS", "SPE2DE", ["PHILADELPHIA", "PA", "19111-5096"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 7,
        department: "DEPT OF DEFENSE",
        cgac: "097",
        sub_tier: "DEFENSE HEALTH AGENCY (DHA)",
        fpds: "97DH",
        offices: &[
            new_office("DEFENSE HEALTH AGENCY", "HT0014", ["FALLS CHURCH", "VA", "22042"]),
            new_office("DHA MEDICAL MATERIEL CONTRACTING", "HT9407", ["FORT DETRICK", "MD", "21702"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 5,
        department: "DEPT OF DEFENSE",
        cgac: "021",
        sub_tier: "DEPT OF THE ARMY",
        fpds: "2100",
        offices: &[
            new_office("HEALTH READINESS CONTRACTING OFFICE", "W81K04", ["FORT SAM HOUSTON", "TX", "78234-5074"]),
            new_office("MEDICAL RESEARCH ACQUISITION ACTIVITY", "W81XWH", ["FORT DETRICK", "MD", "21702-5014"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 7,
        department: "HEALTH AND HUMAN SERVICES, DEPARTMENT OF",
        cgac: "075",
        sub_tier: "INDIAN HEALTH SERVICE",
        fpds: "7527",
        offices: &[
            new_office("PHOENIX AREA INDIAN HEALTH SERVICE", "75H710", ["PHOENIX", "AZ", "85004"]),
            new_office("NAVAJO AREA INDIAN HEALTH SERVICE", "75H709", ["WINDOW ROCK", "AZ", "86515"]),
            new_office("GREAT PLAINS AREA INDIAN HEALTH SERVICE", "75H703", ["ABERDEEN", "SD", "57401"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 5,
        department: "HEALTH AND HUMAN SERVICES, DEPARTMENT OF",
        cgac: "075",
        sub_tier: "NATIONAL INSTITUTES OF HEALTH",
        fpds: "7529",
        offices: &[
            new_office("NATIONAL INSTITUTES OF HEALTH CLINICAL CENTER", "75N980", ["BETHESDA", "MD", "20892"]),
            new_office("NATIONAL CANCER INSTITUTE", "75N910", ["ROCKVILLE", "MD", "20850"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Medical,
        weight: 4,
        department: "JUSTICE, DEPARTMENT OF",
        cgac: "015",
        sub_tier: "FEDERAL PRISON SYSTEM / BUREAU OF PRISONS",
        fpds: "1540",
        offices: &[
            new_office("FMC ROCHESTER", "15B407", ["ROCHESTER", "MN", "55904"]),
            new_office("FMC BUTNER", "15B106", ["BUTNER", "NC", "27509"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Military,
        weight: 30,
        department: "DEPT OF DEFENSE",
        cgac: "097",
        sub_tier: "DEFENSE LOGISTICS AGENCY",
        fpds: "97AS",
        offices: &[
            new_office("DLA LAND AND MARITIME", "SPE7M1", ["COLUMBUS", "OH", "43218-3990"]),
            new_office("DLA AVIATION", "SPE4A6", ["RICHMOND", "VA", "23237"]),
            new_office("DLA MARITIME - PUGET SOUND", "SPMYM4", ["BREMERTON", "WA", "98314"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Military,
        weight: 14,
        department: "DEPT OF DEFENSE",
        cgac: "017",
        sub_tier: "DEPT OF THE NAVY",
        fpds: "1700",
        offices: &[
            new_office("NAVSUP WEAPON SYSTEMS SUPPORT MECH", "N00104", ["MECHANICSBURG", "PA", "17050-0788"]),
            new_office("NAVSUP FLT LOG CTR NORFOLK", "N00189", ["NORFOLK", "VA", "23511-3392"]),
            new_office("MID-ATLANTIC REGIONAL MAINTENANCE CENTER", "N50054", ["PORTSMOUTH", "VA", "23709"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Military,
        weight: 9,
        department: "DEPT OF DEFENSE",
        cgac: "057",
        sub_tier: "DEPT OF THE AIR FORCE",
        fpds: "5700",
        offices: &[
            new_office("FA8105 AIR FORCE SUSTAINMENT CENTER", "FA8105", ["TINKER AFB", "OK", "73145-3303"]),
            new_office("FA4814 6 CONS", "FA4814", ["TAMPA", "FL", "33621-5000"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Military,
        weight: 8,
        department: "DEPT OF DEFENSE",
        cgac: "021",
        sub_tier: "DEPT OF THE ARMY",
        fpds: "2100",
        offices: &[
            new_office("W6QK ACC-RI", "W519TC", ["ROCK ISLAND", "IL", "61299-8000"]),
            new_office("W072 ENDIST SEATTLE", "W912DW", ["SEATTLE", "WA", "98134-2329"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Military,
        weight: 5,
        department: "HOMELAND SECURITY, DEPARTMENT OF",
        cgac: "070",
        sub_tier: "US COAST GUARD",
        fpds: "7008",
        offices: &[new_office("SFLC PROCUREMENT BRANCH 1(00080)", "70Z080", ["NORFOLK", "VA", "23510"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 9,
        department: "INTERIOR, DEPARTMENT OF THE",
        cgac: "014",
        sub_tier: "US FISH AND WILDLIFE SERVICE",
        fpds: "1448",
        offices: &[new_office("FWS, SAT TEAM 1", "140FS1", ["FALLS CHURCH", "VA", "22041"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 9,
        department: "INTERIOR, DEPARTMENT OF THE",
        cgac: "014",
        sub_tier: "NATIONAL PARK SERVICE",
        fpds: "1443",
        offices: &[new_office("IMR - INTERMOUNTAIN REGION (12400)", "140P12", ["LAKEWOOD", "CO", "80228"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 10,
        department: "AGRICULTURE, DEPARTMENT OF",
        cgac: "012",
        sub_tier: "FOREST SERVICE",
        fpds: "12C2",
        offices: &[
            new_office("USDA-FS, CSA NORTHWEST 5", "1240BE", ["PORTLAND", "OR", "97204"]),
            new_office("USDA-FS, CSA INTERMOUNTAIN 8", "1240LP", ["OGDEN", "UT", "84401"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 8,
        department: "GENERAL SERVICES ADMINISTRATION",
        cgac: "047",
        sub_tier: "PUBLIC BUILDINGS SERVICE",
        fpds: "4740",
        offices: &[
            new_office("PBS R7", "47PH08", ["FORT WORTH", "TX", "76102"]),
            new_office("PBS R2", "47PC03", ["NEW YORK", "NY", "10278"]),
        ],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 4,
        department: "GENERAL SERVICES ADMINISTRATION",
        cgac: "047",
        sub_tier: "FEDERAL ACQUISITION SERVICE",
        fpds: "4732",
        offices: &[new_office("GSA/FAS FURNITURE SYSTEMS MGT DIV", "47QSMD", ["PHILADELPHIA", "PA", "19106"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 4,
        department: "HOMELAND SECURITY, DEPARTMENT OF",
        cgac: "070",
        sub_tier: "FEDERAL EMERGENCY MANAGEMENT AGENCY",
        fpds: "7022",
        offices: &[new_office("RESPONSE SECTION(RESP20)", "70FB70", ["WASHINGTON", "DC", "20472"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 3,
        department: "ENERGY, DEPARTMENT OF",
        cgac: "089",
        sub_tier: "ENERGY, DEPARTMENT OF",
        fpds: "8900",
        offices: &[new_office("STRATEGIC PETROLEUM RESERVE PROJECT OFFICE", "89243S", ["NEW ORLEANS", "LA", "70123"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 3,
        department: "STATE, DEPARTMENT OF",
        cgac: "019",
        sub_tier: "STATE, DEPARTMENT OF",
        fpds: "1900",
        offices: &[new_office("ACQUISITIONS - AQM MOMENTUM", "19AQMM", ["WASHINGTON", "DC", "20520"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 3,
        department: "COMMERCE, DEPARTMENT OF",
        cgac: "013",
        sub_tier: "NATIONAL OCEANIC AND ATMOSPHERIC ADMINISTRATION",
        fpds: "1330",
        offices: &[new_office("DEPT OF COMMERCE NOAA", "1305M2", ["NORFOLK", "VA", "23510"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 3,
        department: "TRANSPORTATION, DEPARTMENT OF",
        cgac: "069",
        sub_tier: "FEDERAL AVIATION ADMINISTRATION",
        fpds: "6920",
        offices: &[new_office("6973GH FRANCHISE ACQUISITION SVCS", "6973GH", ["OKLAHOMA CITY", "OK", "73125"])],
    },
    BuyingAgency {
        sector: MarketSector::Civil,
        weight: 2,
        department: "NATIONAL AERONAUTICS AND SPACE ADMINISTRATION",
        cgac: "080",
        sub_tier: "NATIONAL AERONAUTICS AND SPACE ADMINISTRATION",
        fpds: "8000",
        offices: &[new_office("NASA MARSHALL SPACE FLIGHT CENTER", "80MSFC", ["HUNTSVILLE", "AL", "35812"])],
    },
];
