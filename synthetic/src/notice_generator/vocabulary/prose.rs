//! Sentences of notices, with placeholders such as `{many}`, `{office}` and `{due}`.

/// First sentences of a sources sought notice; the lists below are for the other kinds.
pub(in crate::notice_generator) const SOURCES_SOUGHT: &[&str] = &[
    "This is a sources sought notice for market research only; it is not a request for quotes. The {office} looks for firms that can provide {many} in {city}.",
    "The {office} is finding out which small businesses can supply {many}. Capability statements of no more than five pages are welcome until {due}.",
    "RFI: the Government considers a new requirement for {many} and would like to learn about products, lead times and warranty terms that the market offers.",
];
pub(in crate::notice_generator) const PRESOLICITATION: &[&str] = &[
    "The {office} intends to issue a solicitation for {many} within the next {days} days.",
    "This presolicitation notice announces a coming purchase of {many} for {city}. No quotes are taken yet.",
    "A solicitation for {many} under NAICS {naics} is planned; it will be posted here.",
];
pub(in crate::notice_generator) const SOLICITATION: &[&str] = &[
    "The {office} has a requirement for {count} {many}, to be delivered to {city} within {days} days after award.",
    "This is a solicitation for {many}. Offers are due on {due}.",
    "Request for quotes: {count} each, {one}, new and unused, FOB destination {city}.",
    "The Government intends to award a firm-fixed-price contract for {many} with a base year and four option years.",
];
pub(in crate::notice_generator) const COMBINED: &[&str] = &[
    "This is a combined synopsis/solicitation for commercial products and services, prepared under FAR subpart 12.6. The {office} seeks {many} for {city}.",
    "Combined synopsis/solicitation: quotes are requested for {count} {many}; no written solicitation will follow. The NAICS code is {naics}.",
    "Proposed procurement of {many}: line 0001, quantity {count}, delivery to {city} in {days} days.",
];
pub(in crate::notice_generator) const SPECIAL: &[&str] = &[
    "The {office} holds an industry day on {many} in {city}. Firms register by e-mail until {due}.",
    "Notice of intent: the {office} plans to buy {many} from one source, because only this one fits the equipment in use.",
    "For information only: the forecast for {many} was updated.",
];
pub(in crate::notice_generator) const JUSTIFICATION: &[&str] = &[
    "Justification for other than full and open competition: {many} in use at {city} can be served by the original manufacturer alone.",
    "The brand name justification for {many} is attached. Market research found no equal item.",
];
pub(in crate::notice_generator) const SURPLUS: &[&str] =
    &["Sale of surplus property: {count} used {many}, as is and where is, at {city}. Bids are opened on {due}."];
pub(in crate::notice_generator) const AWARD: &[&str] = &[
    "The {office} awarded a contract for {many} after full and open competition.",
    "Award notice: {count} {many} for {city}. The award was made to the lowest priced technically acceptable offer.",
    "Delivery order for {many}; {days} days to deliver.",
];

/// Requirements on services and goods.
pub(in crate::notice_generator) const REQUIREMENT: &[&str] = &[
    "Delivery is FOB destination to the warehouse in {city}, Monday to Friday from 7:30 a.m. to 3:00 p.m.",
    "The quantity of {count} is an estimate; the guaranteed minimum is one.",
    "A site visit takes place {days} days before the closing date; attendance is not mandatory.",
    "Training at the facility – two sessions for day and night staff – is part of the price.",
    "The warranty starts with acceptance and runs for at least twelve months.",
    "Removal and disposal of what is replaced is part of the work.",
    "Manuals are supplied on paper and as searchable PDF.",
    "Partial shipments need the consent of the contracting officer.",
];

/// Rules for medical items.
pub(in crate::notice_generator) const MEDICAL_RULE: &[&str] = &[
    "Products shall be cleared by the FDA; the number of the 510(k) is part of the quote.",
    "Gray market, refurbished or counterfeit items are not accepted; an authorisation letter of the manufacturer is required.",
    "Biomedical engineering inspects each device before it is used.",
    "Storage temperature shall stay between 15 °C and 30 °C, humidity below 60 % and particles above 0.5 µm within class 8.",
    "Devices that store patient data shall be sanitised on the customer’s site before they leave it.",
    "The item is used for veterans with limited mobility; clinicians decide about \"or equal\" products.",
];

/// Rules for other items.
pub(in crate::notice_generator) const GENERAL_RULE: &[&str] = &[
    "The clauses of the FAR in effect through the latest circular apply.",
    "Wage determinations for the place of performance are attached.",
    "Higher-level quality requirements and inspection at origin apply.",
    "Export controlled drawings are released to firms with a current certification only.",
    "The work is done while the site stays in use; noise above 85 dB is limited to weekends.",
    "Material shall be marked and preserved as the packaging standard says, “level A” outside the States.",
];

/// Submission and evaluation of offers.
pub(in crate::notice_generator) const SUBMISSION: &[&str] = &[
    "Quotes are evaluated on price, technical capability and past performance, in this order.",
    "Award goes to the lowest priced offer that meets all salient characteristics.",
    "Offers are sent by e-mail as one PDF of no more than 10 MB; late ones are not considered.",
    "Questions are taken in writing until {days} days before the closing date.",
    "Offerors must be registered in SAM.gov when they submit.",
    "All responsible sources may submit a quote, which the agency will consider.",
    "A quote shall name price, lead time, country of origin and a point of contact.",
];

/// First sentences of an amendment.
pub(in crate::notice_generator) const AMENDMENT: &[&str] = &[
    "Amendment {number}: the closing date is now {due}. Everything else stays as it is.",
    "Amendment {number}: questions and answers are attached; the quantity changes to {count}.",
    "Amendment {number}: the statement of work is replaced. Offers are due on {due}.",
    "Amendment {number}: the place of delivery changes to {city}.",
];

/// Titles of medical goods; `{Many}` starts with a capital letter.
pub(in crate::notice_generator) const TITLE: &[&str] = &[
    "{Many}",
    "{Many} - {city}",
    "{Many} for {office}",
    "{psc}--{Many}",
    "{Many}, brand name or equal",
    "{Many} | base plus four option years",
    "Purchase of {count} {many}",
    "{Many} – {city} medical center",
    "{Many} (VA-26-{count})",
    "{Many}: “{one}” or equal, qty {count}",
    "Request for {many}, \"new\" equipment only",
];

/// Titles of services and of items that are not medical.
pub(in crate::notice_generator) const PLAIN_TITLE: &[&str] = &[
    "{Many}",
    "{Many} - {city}",
    "{psc}--{Many}",
    "{Many}, {city}",
    "{Many} (IDIQ)",
    "{Many} – phase 2",
    "Project {count}: {many}",
];
